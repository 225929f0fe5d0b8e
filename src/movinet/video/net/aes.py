"""AES-128 in CBC mode, decrypting only, as HLS encrypts segments (FIPS 197, SP 800-38A). Vectorized over blocks."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_BLOCK = 16
_CHUNK = 1 << 16  # bytes decrypted at a time


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint32]]:
    """The substitution, its inverse, and what a byte in each of the four rows adds to its column: (4, 256) uint32."""

    def double(x: int) -> int:
        return (x << 1) ^ (0x11B if x & 0x80 else 0)

    def times(a: int, b: int) -> int:
        product = 0
        while b:
            product ^= a if b & 1 else 0
            a, b = double(a), b >> 1
        return product

    power, log, x = [0] * 255, [0] * 256, 1
    for exponent in range(255):  # 3 generates all but 0
        power[exponent], log[x] = x, exponent
        x ^= double(x)
    box = np.zeros(256, np.uint8)
    for value in range(256):
        inverse = power[-log[value] % 255] if value else 0
        turns = [(inverse << turn | inverse >> 8 - turn) & 0xFF for turn in range(5)]
        box[value] = 0x63 ^ turns[0] ^ turns[1] ^ turns[2] ^ turns[3] ^ turns[4]
    back = np.zeros(256, np.uint8)
    back[box] = np.arange(256)
    products = np.array([[times(value, by) for by in (14, 9, 13, 11)] for value in range(256)], np.uint8)[back]
    rows = [np.roll(products, row, axis=1).copy().view(np.uint32)[:, 0] for row in range(4)]
    return box, back, np.stack(rows)


_BOX, _BACK, _ROWS = _tables()
_UNSHIFT = np.array([(i - 4 * (i % 4)) % 16 for i in range(16)])  # rows turned right; bytes lie column by column


def _round_keys(key: bytes) -> NDArray[np.uint8]:
    """(11, 16) uint8."""
    words = [np.frombuffer(key[4 * i : 4 * i + 4], np.uint8) for i in range(4)]
    constant = 1
    for i in range(4, 44):
        word = words[i - 1]
        if i % 4 == 0:
            word = _BOX[np.roll(word, -1)]
            word[0] ^= constant
            constant = (constant << 1) ^ (0x11B if constant & 0x80 else 0)
        words.append(words[i - 4] ^ word)
    return np.stack(words).reshape(11, 16)


def _unmixed(state: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Bytes (N, 16) through the inverse substitution and mixing of columns: (N, 4) uint32."""
    rows = [np.take(_ROWS[row], state[:, row::4]) for row in range(4)]
    return rows[0] ^ rows[1] ^ rows[2] ^ rows[3]


def decrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Whole blocks, decrypted; padding stays.

    Args:
        data: A multiple of 16 bytes.
        key, iv: 16 bytes each.
    """
    if len(key) != _BLOCK or len(iv) != _BLOCK or len(data) % _BLOCK:
        raise ValueError("a key and a vector of 16 bytes are needed, and whole blocks of 16")
    keys = _round_keys(key)
    blocks = np.frombuffer(data, np.uint8).reshape(-1, _BLOCK)
    state = blocks ^ keys[10]
    mixed = _unmixed(_BOX[keys])
    for number in range(9, 0, -1):
        state = (_unmixed(state[:, _UNSHIFT]) ^ mixed[number]).view(np.uint8)
    state = _BACK[state[:, _UNSHIFT]] ^ keys[0]
    before = np.concatenate([np.frombuffer(iv, np.uint8)[None], blocks[:-1]])
    return (state ^ before).tobytes()


class Decrypting:
    """A file of encrypted blocks, read decrypted and without the padding (PKCS 7) at its end."""

    def __init__(self, source: _Source, key: bytes, iv: bytes) -> None:
        self._source, self._key, self._iv = source, key, iv
        self._encrypted = b""
        self._plain = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; nothing at the end."""
        while not self._plain and not self._ended:
            more = self._source.read(_CHUNK)
            self._ended = not more
            self._encrypted += more
            # The last block has the padding: it waits until the end is known.
            whole = len(self._encrypted) // _BLOCK * _BLOCK
            ready = whole if self._ended else max(0, min(whole, len(self._encrypted) - 1) // _BLOCK * _BLOCK)
            if ready:
                blocks, self._encrypted = self._encrypted[:ready], self._encrypted[ready:]
                self._plain = decrypt(blocks, self._key, self._iv)
                self._iv = blocks[-_BLOCK:]
                if self._ended and 1 <= self._plain[-1] <= _BLOCK:
                    self._plain = self._plain[: -self._plain[-1]]
        data, self._plain = self._plain[:size], self._plain[size:]
        return data

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()
