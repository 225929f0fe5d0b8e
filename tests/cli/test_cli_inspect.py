"""movinet inspect: a picture, a few lines, and what looks wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from camera_rig.filming import film
from camera_rig.rtsp_server import RtspCamera
from loopback import site

from movinet.cli import main
from movinet.video.decode import probe, read_frames
from movinet.video.encode import encode_video
from movinet.video.sample import sample_clip


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["inspect", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_good_clip(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(sample_clip())) == 0
    said = capsys.readouterr().out
    assert "Nothing looks wrong." in said
    assert "sample.mp4.inspect.png: what the network sees" in said
    assert min(probe("sample.mp4.inspect.png").size) > 60
    assert run(str(sample_clip())) == 0  # over its own picture


def test_a_bad_clip_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.stack([frame.rgb[..., ::-1] for frame in read_frames(sample_clip())])
    encode_video(Path("bgr.mp4"), frames, fps=5)
    assert run("bgr.mp4", "--json", "--out", "seen.png", "--start", "0.4", "--end", "2") == 0
    told = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in told["findings"]] == ["channels"]
    assert (told["picture"], told["times"][0], told["frames"]) == ("seen.png", 0.4, 8)
    assert told["video"]["codec"] == "h264"
    assert run("bgr.mp4") == 0
    assert "! channels: red and blue may be exchanged" in capsys.readouterr().out


def test_other_peoples_pictures_are_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = Path("sample.mp4.inspect.png")
    theirs.write_bytes(b"a photograph")
    assert run(str(sample_clip())) == 2
    assert "is no picture of ours; choose another name, or --force" in " ".join(capsys.readouterr().err.split())
    assert theirs.read_bytes() == b"a photograph"
    assert run(str(sample_clip()), "--force") == 0
    assert theirs.read_bytes() != b"a photograph"


def test_an_address_keeps_its_secrets(capfd: pytest.CaptureFixture[str]) -> None:
    with site({"/clip.mp4": sample_clip().read_bytes()}) as server:
        address = server.url("/clip.mp4?token=abc", user="me:hunter2@")
        assert run(address, "--json") == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["frames"] == 24
    assert not any(secret in out + err for secret in ("hunter2", "abc"))
    assert Path("clip.mp4.inspect.png").exists()


def test_a_live_source_is_looked_at_for_a_while(capfd: pytest.CaptureFixture[str]) -> None:
    with RtspCamera(film(seconds=3, fps=10)) as camera:
        assert run(camera.url(), "--end", "1", "--json", "--out", "seen.png") == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("absent.mp4", "no such file"),
        ("CLIP --out seen.jpg", "ending in .png"),
        ("CLIP --out absent/seen.png", "in a folder that is there"),
        ("CLIP --start 2 --end 1", "--end must come after --start"),
        ("CLIP --start nan", "--start is nan; want seconds"),
        ("CLIP --model nothing", "nothing"),
    ],
)
def test_what_is_wrong_is_said(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*(str(sample_clip()) if part == "CLIP" else part for part in line.split())) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not list(Path().glob("*.png"))
