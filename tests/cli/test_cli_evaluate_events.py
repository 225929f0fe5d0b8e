"""`movinet evaluate`: a list of long videos in, figures of events out."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_weights

from movinet.cli import main
from movinet.data.encode import encode_video


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--protocol", "events", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for n in range(2):
        images = np.random.default_rng(n).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
        encode_video(tmp_path / f"{n}.mp4", images, fps=5)
    (tmp_path / "streams.csv").write_text("file,label,start,end\n0.mp4,left,1,2\n0.mp4,other,3,4\n1.mp4,,,\n")
    return tmp_path / "streams.csv"


def test_it_prints_figures_for_people_and_programs(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tiny_weights(listed.parent))
    assert run(str(listed), "--model", weights) == 0
    text = capsys.readouterr().out
    for piece in ("false alarms an hour", "missed", "left", "1 event"):
        assert piece in text
    assert run(str(listed), "--model", weights, "--json", "--target-false-alarms", "1") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["there"] == 1, "other is background"
    assert figures["hours"] == pytest.approx(8 / 3600, rel=0.05)
    assert figures["false_alarms_an_hour"]["value"] <= 1
    assert 0 <= figures["missed"]["value"] <= 1


def test_a_video_that_cannot_be_read_does_not_end_it(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (listed.parent / "1.mp4").write_bytes(b"junk")
    assert run(str(listed), "--model", str(tiny_weights(listed.parent))) == 2
    told = capsys.readouterr()
    assert "1.mp4" in told.err
    assert "missed" in told.out


def test_wrong_lists_and_options_are_told(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tiny_weights(listed.parent))
    listed.write_text("file,label,start,end\n0.mp4,jump,1,2\n")
    for more, message in (([], "no label"), (["--off-share", "0"], "--off-share"), (["--after", "-1"], "--after")):
        assert run(str(listed), "--model", weights, *more) == 2
        assert message in capsys.readouterr().err
    listed.write_text("file,label,start,end\n0.mp4,left,9,10\n")
    assert run(str(listed), "--model", weights) == 2
    assert "the video lasts 4.00 s" in capsys.readouterr().err
