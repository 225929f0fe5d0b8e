"""Letters and PNGs for contact sheets, without a drawing library."""

import unicodedata
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

BACKGROUND, CELL, BRIGHT, DIM, ALARM = (24, 25, 28), (38, 40, 45), (235, 235, 235), (150, 154, 162), (235, 110, 90)
LETTER = 6  # pixels a letter takes across, with the gap after it; 7 down
_HEAD = 33  # bytes of a PNG before its second chunk

# The 5 × 7 letters of character displays, from space to tilde: five bytes each, a column a byte, lowest bit on top.
_LETTERS = bytes.fromhex(
    "000000000000005f00000007000700147f147f14242a7f2a12231308646236495620500008070300001c2241000041221c002a1c7f1c2a08083e0808"
    "00807030000808080808000060600020100804023e5149453e00427f400072494949462141494d331814127f1027454545393c4a4949314121110907"
    "3649494936464949291e0000140000004034000000081422411414141414004122140802015909063e415d594e7c1211127c7f494949363e41414122"
    "7f4141413e7f494949417f090909013e414151737f0808087f00417f41002040413f017f081422417f404040407f021c027f7f0408107f3e4141413e"
    "7f090909063e4151215e7f09192946264949493203017f01033f4040403f1f2040201f3f4038403f631408146303047804036159494d43007f414141"
    "0204081020004141417f04020102044040404040000307080020545478407f284444383844444428384444287f385454541800087e090218a4a49c78"
    "7f0804047800447d40002040403d007f1028440000417f40007c047804787c080404783844444438fc1824241818242418fc7c080404084854545424"
    "04043f44243c4040207c1c2040201c3c4030403c44281028444c9090907c4464544c440008364100000077000000413608000201020402"
)


def write_text(sheet: Picture, text: str, y: int, x: int, color: Color, scale: int = 1) -> None:
    """Writes ASCII; letters with accents lose them, others become question marks."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    for position, letter in enumerate(plain):
        code = ord(letter) - 32 if " " <= letter <= "~" else ord("?") - 32
        columns = np.frombuffer(_LETTERS[5 * code : 5 * code + 5], np.uint8)
        dots = np.unpackbits(columns[:, None], axis=1, bitorder="little").T.astype(bool)  # (8, 5)
        dots = dots.repeat(scale, 0).repeat(scale, 1)
        part = sheet[y : y + dots.shape[0], x + position * 6 * scale :][:, : dots.shape[1]]
        part[dots[: part.shape[0], : part.shape[1]]] = color


def png(picture: Picture, software: str) -> bytes:
    """(H, W, 3) as a PNG that says by which software it was drawn: see `drawn_by`."""
    encoder = av.VideoCodecContext.create("png", "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    return data[:_HEAD] + _mark(software) + data[_HEAD:]


def drawn_by(path: Path, software: str) -> bool:
    """Whether a file is a PNG that was drawn here, by that software.

    Raises:
        OSError: It cannot be read.
    """
    mark = _mark(software)
    with path.open("rb") as file:
        return file.read(_HEAD + len(mark))[_HEAD:] == mark


def _mark(software: str) -> bytes:
    """A chunk of a PNG."""
    text = b"tEXtSoftware\0" + software.encode("latin-1")
    return (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
