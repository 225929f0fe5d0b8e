"""`--stream` chooses a track; one file in a codec that nobody knows does not end the others."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tiny import tiny_weights

from movinet.cli import main


def two_tracks(path: Path) -> Path:
    """10 small frames, and 5 large ones of white; both tracks at 5 frames a second."""
    with av.open(str(path), "w") as out:
        tracks = []
        for count, size, level in ((10, 32, 0), (5, 64, 255)):
            stream = out.add_stream("libx264", rate=5)
            stream.height, stream.width, stream.pix_fmt = size, size, "yuv420p"
            tracks.append((stream, count, size, level))
        for stream, count, size, level in tracks:
            for tick in range(count):
                frame = av.VideoFrame.from_ndarray(np.full((size, size, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 5)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[dict[str, object]], str]:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), [json.loads(line) for line in out.splitlines()], err


def test_a_track_is_chosen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video, model = two_tracks(tmp_path / "a.mp4"), ("--model", tiny_weights(tmp_path), "--json")
    for number, frames in ((0, 10), (1, 5)):
        code, (answer,), _ = run(capfd, "classify", video, "--stream", str(number), *model)
        assert (code, answer["frames"]) == (0, frames)
        code, answers, _ = run(capfd, "watch", video, "--stream", str(number), "--seconds", "0.5", *model)
        assert code == 0
        assert answers
    code, _, err = run(capfd, "classify", video, "--stream", "2", *model)
    assert code == 2
    assert "has no video stream 2, only 0 (h264, 32×32), 1 (h264, 64×64)" in " ".join(err.split())
    code, _, err = run(capfd, "watch", "0", "--stream", "2", *model)
    assert code == 2
    assert "a camera has one" in " ".join(err.split())


def test_the_batch_goes_on_after_a_codec_that_nobody_knows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = two_tracks(tmp_path / "good.mp4")
    unknown = tmp_path / "unknown.mp4"
    unknown.write_bytes(good.read_bytes().replace(b"avc1", b"zzzz"))
    code, answers, err = run(capfd, "classify", unknown, good, "--model", tiny_weights(tmp_path), "--json")
    assert code == 2
    assert [Path(str(answer["video"])).name for answer in answers] == ["good.mp4"]
    assert "unknown.mp4: its video is in a codec that FFmpeg does not know" in " ".join(err.split())
