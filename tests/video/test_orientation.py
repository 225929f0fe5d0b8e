"""Pictures are shown the way their EXIF or display matrix says, whatever else they carry."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from video_clips import write

from movinet.data.inspection import inspect_video
from movinet.errors import VideoError
from movinet.labeled.entries import VideoEntry as Clip
from movinet.video.decode import probe, read_frames
from movinet.video.orientation import rotation

Picture = NDArray[np.uint8]


def corners() -> Picture:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24, 0] = image[:16, 24:, 1] = image[16:, :24, 2] = 255
    image[16:, 24:] = 255
    return image


SHOWN: dict[int, Callable[[Picture], Picture]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
"""What the EXIF standard wants done, by its number."""


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("number", SHOWN)
def test_exif_says_how_a_picture_is_shown(tmp_path: Path, kind: str, number: int) -> None:
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = number, "a maker"
    Image.fromarray(corners()).save(path, exif=exif)
    (frame,) = read_frames(path)
    expected = SHOWN[number](corners())
    assert frame.rgb.shape == expected.shape == (*probe(path).size, 3)
    assert np.abs(frame.rgb.astype(int) - expected).mean() < 20


def test_what_only_newer_ffmpeg_knows_is_passed_over(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"  # leaves side data of a kind that PyAV 18 cannot name
    for number in range(3):
        Image.fromarray(corners()).save(tmp_path / f"{number}.jpg", exif=exif)
    assert len(list(read_frames(tmp_path, 5))) == 3
    inspected = inspect_video(Clip(tmp_path, ("a",)))
    assert (inspected.frames, inspected.error) == (3, "")


def with_matrix(path: Path, matrix: tuple[int, ...]) -> Path:
    """The MP4 with another display matrix in its track's header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


def test_a_matrix_of_zeros_turns_nothing(tmp_path: Path) -> None:
    path = with_matrix(write(tmp_path / "a.mp4", [corners()] * 3, options={"qp": "0"}), (0,) * 9)
    info = probe(path)
    assert (info.size, info.rotation) == ((32, 48), 0)
    assert all(np.abs(frame.rgb.astype(int) - corners()).mean() < 20 for frame in read_frames(path))
    assert inspect_video(Clip(path, ("a",))).size == (32, 48)


@pytest.mark.parametrize("matrix", [(0, 0, 0, 1), (1, 0, 0, 0), (0, 0, 0, 0), (-(2**31), 2**31 - 1, 1, 1)])
def test_no_matrix_is_too_odd_for_a_number_of_degrees(matrix: tuple[int, int, int, int]) -> None:
    assert -180 <= rotation(matrix) <= 180


def test_an_animated_webp_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    Image.fromarray(corners()).save(path, save_all=True, append_images=[Image.fromarray(255 - corners())])
    for read in (probe, lambda path: next(read_frames(path))):
        with pytest.raises(VideoError, match="an animated WebP, which FFmpeg cannot read"):
            read(path)


def test_a_damaged_png_is_not_called_animated(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(corners()).save(path)
    data = path.read_bytes()
    at = data.index(b"IDAT")
    path.write_bytes(data[: at + 4] + zlib.compress(b"")[:4] + data[at + 8 : at + 12])
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        probe(path)


_READ_MANY = """
import gc, sys
from movinet.video.decode import read_frames
gc.set_threshold(5)
for _ in range(40):
    for path in sys.argv[1:]:
        for frame in read_frames(path):
            assert frame.rgb.shape == (32, 48, 3)
gc.collect()
"""


def test_color_profiles_with_a_name_do_not_end_the_process(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for path in paths:
        Image.fromarray(corners()).save(path, icc_profile=profile)
    done = subprocess.run([sys.executable, "-c", _READ_MANY, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
