"""Read protocol buffers without their schema."""

from collections.abc import Iterator


class Damaged(Exception):
    """What is wrong in a file; becomes a `WeightsError` where the file is known."""


def fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """A protocol buffer's fields: (number, value, b"") of numbers, (number, 0, content) of strings and messages.

    Raises:
        Damaged: the message breaks off.
    """
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = varint(message, position)
            yield number, value, b""
            continue
        size, position = varint(message, position) if kind == 2 else ({1: 8, 5: 4}.get(kind, 0), position)
        content = message[position : position + size]
        if kind not in {1, 2, 5} or len(content) != size:
            raise Damaged(f"a message of {len(message)} bytes breaks off")
        yield (number, 0, content) if kind == 2 else (number, int.from_bytes(content, "little"), b"")
        position += size


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, seven bits a byte, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Damaged(f"no number at byte {position}")
