"""CRC-32C against published values and the definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.weights.crc32c import crc32c, unmask


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this and the next two: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@given(st.binary(max_size=300))
def test_bit_by_bit_definition(data: bytes) -> None:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 * (state & 1))
    assert crc32c(data) == state ^ 0xFFFFFFFF


@given(st.integers(0, 2**32 - 1))
def test_unmask_inverts_leveldb_mask(crc: int) -> None:
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert unmask(masked) == crc
