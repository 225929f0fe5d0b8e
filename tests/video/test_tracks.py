"""Of several tracks, the one that moves; of what PyAV does not know, a word."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from video_clips import number_of, numbered, write

from movinet.data.inspection import inspect_video
from movinet.errors import VideoError
from movinet.labeled.entries import VideoEntry as Clip
from movinet.video import container
from movinet.video.container import Video
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.locations import Track
from movinet.video.pixels import ToRGB


def motion_photo(path: Path, stills: int = 1, video_first: bool = True) -> Path:
    """A video of 20 frames and a larger track of few, 100 and on, both marked as default."""
    with av.open(str(path), "w") as out:
        streams = []
        for height, width in ((32, 64), (64, 128)) if video_first else ((64, 128), (32, 64)):
            stream = out.add_stream("libx264", rate=10, options={"bf": "0"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.disposition = Disposition.default
            streams.append(stream)
        for tick in range(20):
            for stream in streams:
                if stream.width == 64 or tick < stills:
                    first = 0 if stream.width == 64 else 100
                    image = numbered(first + tick, stream.height, stream.width)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts, frame.time_base = tick, Fraction(1, 10)
                    out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("video_first", [True, False])
def test_a_still_beside_a_video_is_not_it(tmp_path: Path, kind: str, video_first: bool) -> None:
    path = motion_photo(tmp_path / f"a.{kind}", video_first=video_first)
    assert [number_of(frame.rgb) for frame in read_frames(path)] == list(range(20))
    assert probe(path).size == (32, 64)
    assert duration(path) == pytest.approx(2.0, abs=0.11)
    assert inspect_video(Clip(path, ("a",))).frames == 20


def test_some_stills_are_no_video_either(tmp_path: Path) -> None:
    assert len(list(read_frames(motion_photo(tmp_path / "a.mp4", stills=2)))) == 20


def test_a_number_chooses(tmp_path: Path) -> None:
    path = motion_photo(tmp_path / "a.mp4", stills=3)
    assert [number_of(frame.rgb) for frame in read_frames(Track(path, 1))] == [100, 101, 102]
    assert [number_of(frame.rgb) for frame in read_at(Track(path, 0), [1.0])] == [10]
    assert (probe(Track(path, 1)).size, duration(Track(path, 1))) == ((64, 128), pytest.approx(0.3))
    with pytest.raises(VideoError, match=r"a.mp4: has no video stream 7, only 0 \(h264, 64×32\), 1 \(h264, 128×64\)"):
        next(read_frames(Track(path, 7)))
    with pytest.raises(VideoError, match="no such file"):
        probe(Track(tmp_path / "b.mp4", 0))


def test_a_piece_of_a_stream_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as out:
        stream = out.add_stream("libx264", rate=5)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        for number in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        out.mux(stream.encode(None))
    data = path.read_bytes()
    assert len(list(read_frames(path))) == 5
    piece = tmp_path / "a.m4s"
    piece.write_bytes(data[data.index(b"moof") - 4 :])
    with pytest.raises(VideoError, match="a piece of a stream"):
        probe(piece)


def unknown(path: Path) -> Path:
    """The MP4 with a codec that nobody knows."""
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    return path


def test_a_codec_that_nobody_knows_is_called_so(tmp_path: Path) -> None:
    path = unknown(write(tmp_path / "a.mp4", [numbered(n) for n in range(5)]))
    for read in (probe, duration, lambda path: next(read_frames(path)), lambda path: next(read_at(path, [0.0]))):
        with pytest.raises(VideoError, match=r"a.mp4: its video is in a codec that FFmpeg does not know"):
            read(path)
    assert "codec that FFmpeg does not know" in inspect_video(Clip(path, ("a",))).error
    with pytest.raises(VideoError, match="stream 0 is in a codec that FFmpeg does not know"):
        probe(Track(path, 0))


def test_a_codec_that_is_known_goes_before_one_that_is_not(tmp_path: Path) -> None:
    path = motion_photo(tmp_path / "a.mp4", stills=20)
    data = path.read_bytes()
    at = data.rindex(b"avc1")
    path.write_bytes(data[:at] + b"zzz1" + data[at + 4 :])
    assert probe(path).size == (32, 64)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparent_webm_lies_over_black(tmp_path: Path, codec: str) -> None:
    rgba = np.full((64, 64, 4), 255, np.uint8)
    rgba[:, :32, 3] = 0
    path = write(tmp_path / "a.webm", [rgba] * 60, codec=codec, pixels="yuva420p", source="rgba",
                 options={"deadline": "realtime", "auto-alt-ref": "0", "g": "10"})  # fmt: skip
    for frame in (*read_frames(path), *read_at(path, [2.2])):
        assert frame.rgb[:, :24].max() < 40
        assert frame.rgb[:, 40:].min() > 215


def gray(path: Path, codec: str, color_range: int, low: int, high: int, pixels: str = "gray") -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=5, options={"qp": "0"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = 64, 64, pixels
        stream.codec_context.color_range = color_range
        for tick in range(2):
            levels = np.repeat(np.array([[low, high]]), 32, 1).repeat(64, 0)
            image = levels.astype(np.uint8) if pixels == "gray" else (levels * 4).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(image, format=pixels)
            frame.pts, frame.color_range = tick, color_range
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "color_range", "low", "high", "pixels"),
    [
        ("limited.mp4", "libx264", 1, 16, 235, "gray"),
        ("ten.mp4", "libx264", 1, 16, 235, "gray10le"),
        ("untold.mp4", "libx264", 0, 16, 235, "gray"),
        ("full.mp4", "libx264", 2, 0, 255, "gray"),
        ("picture.mkv", "ffv1", 0, 0, 255, "gray"),
    ],
)
def test_gray_is_black_to_white(
    tmp_path: Path, name: str, codec: str, color_range: int, low: int, high: int, pixels: str
) -> None:
    for frame in read_frames(gray(tmp_path / name, codec, color_range, low, high, pixels)):
        assert frame.rgb[:, :32].max() <= 2
        assert frame.rgb[:, 32:].min() >= 253


def test_pixels_that_pyav_cannot_convert_are_an_error_of_the_video() -> None:
    frame = SimpleNamespace(width=4, height=2, format=None)
    with pytest.raises(VideoError, match=r"^x.mp4: a frame of 4×2 cannot be converted to RGB"):
        ToRGB(name="x.mp4")(frame)  # type: ignore[arg-type]


def test_the_narrowest_frame_keeps_a_column() -> None:
    assert ToRGB(Fraction(1, 3))(av.VideoFrame(1, 4, "gray")).shape == (4, 1, 3)


@pytest.mark.parametrize("error", [ValueError("31 is not a valid Type"), AttributeError("width"), KeyError("x")])
def test_whatever_pyav_raises_is_an_error_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = write(tmp_path / "a.mp4", [numbered(n) for n in range(5)])

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(container, "moving_tracks", fails)
    with pytest.raises(VideoError, match=r"a.mp4: cannot be opened"):
        Video(path)
    monkeypatch.undo()
    monkeypatch.setattr(av, "open", fails)
    with pytest.raises(VideoError, match=r"a.mp4: cannot be opened"):
        probe(path)
    monkeypatch.undo()
    monkeypatch.setattr(container, "decoder_of", lambda _: SimpleNamespace(decode=fails, options={}))
    with pytest.raises(VideoError, match=r"a.mp4: has no frame that can be decoded"):
        next(read_frames(path))
