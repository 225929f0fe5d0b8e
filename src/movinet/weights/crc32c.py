"""CRC-32C (Castagnoli), fast enough in numpy to check whole checkpoints."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # bit-reversed


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of `data`. About 250 MB/s.

    A CRC is the message as a polynomial over GF(2), times x³², modulo P; so two halves combine as first · x^n + second,
    n the bits of the second. Neighboring words are combined until one is left: log₂ of their number numpy operations.
    """
    size = len(data)
    if size < 4:
        state = 0xFFFFFFFF
        for byte in bytes(data):
            state = int(_BYTES[(state ^ byte) & 0xFF]) ^ (state >> 8)
        return state ^ 0xFFFFFFFF
    words = np.zeros(-(-size // 4), "<u4")
    padded = words.view(np.uint8)
    start = len(padded) - size  # zeros in front do not change a CRC that starts at 0
    padded[start:] = np.frombuffer(data, np.uint8)
    padded[start : start + 4] ^= 0xFF  # the same as starting at ~0
    level = 0
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, words.dtype), words])
        words = _advance(words[0::2], level) ^ words[1::2]
        level += 1
    return int(_advance(words, 0)[0]) ^ 0xFFFFFFFF


def unmask(masked: int) -> int:
    """The checksum behind one that LevelDB and TensorFlow store: rotated right by 15 bits, plus a constant."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def _byte_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


_BYTES = _byte_table()


@cache
def _shift(level: int) -> NDArray[np.uint32]:
    """(4, 256): what each byte of a word contributes after multiplication with x^(32·2^level)."""
    words = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    if level:
        return _advance(_advance(words, level - 1), level - 1)
    for _ in range(4):
        words = _BYTES[words & 0xFF] ^ (words >> 8)
    return words


def _advance(words: NDArray[np.uint32], level: int) -> NDArray[np.uint32]:
    a, b, c, d = _shift(level)
    moved: NDArray[np.uint32] = a[words & 0xFF] ^ b[(words >> 8) & 0xFF] ^ c[(words >> 16) & 0xFF] ^ d[words >> 24]
    return moved
