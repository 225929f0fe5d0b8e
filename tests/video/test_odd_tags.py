"""Titles that are not UTF-8 keep no video from being read, whatever PyAV makes of them."""

from pathlib import Path

import av
import pytest
from video_clips import number_of, numbered, write

from movinet.data.inspection import inspect_video
from movinet.labeled.entries import VideoEntry as Clip
from movinet.video.decode import duration, probe, read_at, read_frames

_TITLE = "Привет".encode("cp1251")


@pytest.fixture(params=["avi", "mkv", "mov"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Ten numbered frames with a title, and a handler's name in `.mov`, as an old Windows program wrote them."""
    path = tmp_path / f"old.{request.param}"
    write(path, [numbered(n) for n in range(10)], options={"bf": "0"}, title="AAAAAA")
    data = path.read_bytes()
    assert b"AAAAAA" in data
    data = data.replace(b"AAAAAA", _TITLE)
    path.write_bytes(data.replace(b"VideoHandler", _TITLE * 2))
    return path


def check(path: Path) -> None:
    assert [number_of(frame.rgb) for frame in read_frames(path)] == list(range(10))
    assert [number_of(frame.rgb) for frame in read_at(path, [0.2])] == [5]
    assert probe(path).frames == 10
    assert duration(path) == pytest.approx(0.4)
    assert not inspect_video(Clip(path, ("old",))).error


def test_with_the_pyav_that_is_installed(old: Path) -> None:
    check(old)


def test_with_a_pyav_that_has_no_option_for_it(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = av.open

    def without_option(file, format, options, timeout, io_open, hwaccel):  # as PyAV 19 has it
        names = {"timeout": timeout, "io_open": io_open, "hwaccel": hwaccel, "metadata_errors": "surrogateescape"}
        return opened(file, None, format, options, **names)

    monkeypatch.setattr(av, "open", without_option)
    check(old)
