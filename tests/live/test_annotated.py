"""What was recognized, drawn into what was seen."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from reports import INFO, prediction

from movinet.errors import MovinetError
from movinet.events import Event
from movinet.live.annotated import AnnotatedVideo, annotated, refuse_to_save
from movinet.video.frame import Frame


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def gray(height: int = 120, width: int = 160, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_the_picture_is_copied_and_says_what_was_recognized() -> None:
    picture = gray()
    drawn = annotated(picture, prediction("star", 0.9, 3.0), ())
    assert (picture == 128).all()
    assert (drawn[:70] == 128)[:, :100].all()
    assert (drawn[-30:] != 128).any()
    with_event = annotated(picture, prediction("star", 0.9, 3.0), (Event("star", 1.0, None, 0.9),))
    assert (with_event[0] != 128).all()


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (8, 400), (1080, 1920), (121, 161)])
def test_any_size_can_be_drawn_on(size: tuple[int, int]) -> None:
    info = replace(INFO, labels=("a label that is much longer than the picture is wide", *INFO.labels[1:]))
    drawn = annotated(gray(*size), replace(prediction(), info=info), ())
    assert drawn.dtype == np.uint8
    assert all(side <= was for side, was in zip(drawn.shape[:2], size, strict=True))


def test_times_are_kept_and_holes_filled(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with AnnotatedVideo(path, 5.0) as video:
        for moment, level in ((0.0, 10), (0.2, 60), (1.0, 110), (60.0, 160), (60.2, 210)):
            size = (120, 160) if moment < 60 else (60, 200)  # a camera may change
            video.show(Frame.of_rgb(gray(*size, level), moment), prediction("star", 0.9, moment), ())
    middles = [round(float(frame[15, 20, 0]) / 50) for frame in frames_of(path)]
    assert middles == [0, 1, 1, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("rate", [2.0, 3.0, 4.0, 4.5])
def test_it_lasts_as_long_as_a_camera_that_is_slower_than_the_network(tmp_path: Path, rate: float) -> None:
    path, seconds = tmp_path / "out.mp4", 30
    with AnnotatedVideo(path, 5.0) as video:
        for n in range(round(seconds * rate) + 1):
            video.show(Frame.of_rgb(gray(16, 16), n / rate), prediction("star", 0.9, n / rate), ())
    assert len(frames_of(path)) == seconds * 5 + 1


def test_nothing_seen_is_no_file(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.mp4", 5.0):
        pass
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_at_the_end(tmp_path: Path) -> None:
    def write() -> None:
        with AnnotatedVideo(tmp_path / "nowhere" / "out.mp4", 5.0) as video:
            for n in range(100):  # more than may wait: nobody is held up for ever
                video.show(Frame.of_rgb(gray(), n / 5), prediction("star", 0.9, n / 5), ())

    with pytest.raises(MovinetError, match="nowhere"):
        write()


def test_what_cannot_be_written_is_told_also_where_somebody_stops_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write() -> None:
        with AnnotatedVideo(tmp_path / "nowhere" / "out.mp4", 5.0) as video:
            video.show(Frame.of_rgb(gray(), 0.0), prediction("star", 0.9, 0.0), ())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert "nowhere" in caplog.text


@pytest.mark.parametrize(
    ("name", "sources", "said"),
    [("a.mp4", 2, "one source"), ("a.txt", 1, "want the name"), ("b/a.mp4", 1, "no folder")],
)
def test_what_is_refused_before_it_begins(name: str, sources: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match=said):
        refuse_to_save(tmp_path / name, sources)
