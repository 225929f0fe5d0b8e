"""A contact sheet: a picture of a data set, to see at a glance what is in it."""

import unicodedata
import zlib
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.data.entries import VideoEntry, VideoSet
from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.video.decode import duration, read_at
from movinet.words import counted

_BACKGROUND, _CELL, _BRIGHT, _DIM, _ALARM = (24, 25, 28), (38, 40, 45), (235, 235, 235), (150, 154, 162), (235, 110, 90)
_MARGIN, _GAP, _BETWEEN = 12, 2, 12  # pixels: around the sheet, between frames, between clips and rows
_LABEL = 216  # width of the column of labels
_HEAD = 33  # bytes of a PNG before its second chunk
_TEXT = b"tEXtSoftware\0movinet data check"
_MARK = (len(_TEXT) - 4).to_bytes(4) + _TEXT + zlib.crc32(_TEXT).to_bytes(4)  # a chunk of a PNG that says who drew it
_MOST = 100  # rows; a picture that no viewer opens helps nobody

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


def contact_sheet(
    videos: VideoSet,
    path: str | Path,
    per_class: int = 2,
    frames: int = 6,
    height: int = 72,
    workers: int | None = None,
) -> None:
    """Draws a row for every class, with frames of some of its clips in order of time, as a PNG.

    Args:
        videos: the set.
        path: the picture to write.
        per_class: clips of every class, evenly spaced in the set.
        frames: of every clip, evenly spaced in time.
        height: of a frame, in pixels.
        workers: threads; by default as Python thinks best.

    Raises:
        MovinetError: a count is below one, or the picture cannot be written.
    """
    if min(per_class, frames) < 1 or height < 24:
        raise MovinetError(f"a sheet needs clips and frames of 24 lines at least, not {per_class}, {frames}, {height}")
    path = Path(path)
    labels = videos.labels[:_MOST]
    clips = {label: [video for video in videos.videos if label in video.labels] for label in labels}
    chosen = [(row, video) for row, label in enumerate(labels) for video in _spread(clips[label], per_class)]
    with ThreadPoolExecutor(workers) as pool:
        strips = list(pool.map(lambda item: _strip(item[1], frames, height), chosen))

    cell = _cell_width(strips, height)
    strip_width = frames * (cell + _GAP) - _GAP
    left, columns = _MARGIN + _LABEL, max(1, min(per_class, max(map(len, clips.values()), default=1)))
    more = len(videos.labels) - len(labels)
    width = left + columns * (strip_width + _BETWEEN) - _BETWEEN + _MARGIN
    tall = 2 * _MARGIN + len(labels) * (height + _BETWEEN) - _BETWEEN + (_BETWEEN + 8 if more else 0)
    sheet = np.full((tall, width, 3), _BACKGROUND, np.uint8)
    for row, label in enumerate(labels):
        top = _MARGIN + row * (height + _BETWEEN)
        for line, text in enumerate(_wrap(label)):
            _write(sheet, text, top + 2 + line * 20, _MARGIN, _BRIGHT, scale=2)
        _write(sheet, counted(len(clips[label]), "clip"), top + height - 9, _MARGIN, _DIM)
    places: dict[int, int] = {}
    for (row, video), strip in zip(chosen, strips, strict=True):
        column = places[row] = places.get(row, -1) + 1
        x, y = left + column * (strip_width + _BETWEEN), _MARGIN + row * (height + _BETWEEN)
        for k in range(frames):
            _paste(sheet[y : y + height, x + k * (cell + _GAP) :][:, :cell], strip[k] if k < len(strip) else None)
        if not strip:
            _write(sheet, "cannot be read", y + 8, x + 8, _ALARM)
            _write(sheet, video.path.name[: strip_width // 6 - 2], y + 20, x + 8, _ALARM)
    if more:
        _write(sheet, f"and {counted(more, 'more class', 'more classes')}", tall - _MARGIN - 8, _MARGIN, _DIM)
    write_atomically(path, _png(sheet))


def _spread(videos: list[VideoEntry], count: int) -> list[VideoEntry]:
    count = min(count, len(videos))
    return [videos[(2 * k + 1) * len(videos) // (2 * count)] for k in range(count)]


def _strip(video: VideoEntry, frames: int, height: int) -> list[NDArray[np.uint8]]:
    """Frames of a clip, evenly spaced in time, at a height; none where it cannot be read."""
    try:
        lasts = duration(video.path)
        span = max((min(video.end, lasts) if video.end else lasts) - video.start, 0.0)
        times = [video.start + span * (k + 0.5) / frames for k in range(frames)]
        return [_shrink(frame.rgb, height) for frame in read_at(video.path, times, threads=1)]
    except (MovinetError, OSError, ValueError):
        return []


def _shrink(rgb: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    width = min(max(1, round(rgb.shape[1] * height / rgb.shape[0])), 3 * height)
    pixels: Tensor = torch.from_numpy(rgb.transpose(2, 0, 1).copy()).float()[None]
    small = torch.nn.functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def _cell_width(strips: list[list[NDArray[np.uint8]]], height: int) -> int:
    """The width of most frames; others are cut or padded to it."""
    widths = [strip[0].shape[1] for strip in strips if strip]
    return int(np.median(widths)) if widths else height * 4 // 3


def _paste(cell: NDArray[np.uint8], picture: NDArray[np.uint8] | None) -> None:
    """Puts a picture into the middle of a cell of its height, cutting what does not fit."""
    cell[:] = _CELL
    if picture is not None:
        surplus = picture.shape[1] - cell.shape[1]
        picture = picture[:, max(0, surplus) // 2 :][:, : cell.shape[1]]
        cell[:, max(0, -surplus) // 2 :][:, : picture.shape[1]] = picture


def _wrap(label: str, width: int = _LABEL // 12 - 1, lines: int = 3) -> list[str]:
    """A label on at most some lines, broken between words where that is possible."""
    rest, wrapped = label, list[str]()
    while rest and len(wrapped) < lines:
        cut = width
        if len(rest) > width:
            spaces = [at + 1 for at, letter in enumerate(rest[:width]) if letter in " _-/"]
            cut = spaces[-1] if spaces else width
        wrapped.append(rest[:cut])
        rest = rest[cut:]
    if rest:
        wrapped[-1] = wrapped[-1][: width - 2] + ".."
    return wrapped


def _write(sheet: NDArray[np.uint8], text: str, y: int, x: int, colour: tuple[int, int, int], scale: int = 1) -> None:
    """Writes ASCII; letters with accents lose them, others become question marks."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    for position, letter in enumerate(plain):
        code = ord(letter) - 32 if " " <= letter <= "~" else ord("?") - 32
        columns = np.frombuffer(_LETTERS[5 * code : 5 * code + 5], np.uint8)
        dots = np.unpackbits(columns[:, None], axis=1, bitorder="little").T.astype(bool)  # (8, 5)
        dots = dots.repeat(scale, 0).repeat(scale, 1)
        part = sheet[y : y + dots.shape[0], x + position * 6 * scale :][:, : dots.shape[1]]
        part[dots[: part.shape[0], : part.shape[1]]] = colour


def _png(picture: NDArray[np.uint8]) -> bytes:
    encoder = av.VideoCodecContext.create("png", "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    png = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    return png[:_HEAD] + _MARK + png[_HEAD:]


def is_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that was drawn here.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(_HEAD + len(_MARK))[_HEAD:] == _MARK
