"""`movinet serve` as a program: it starts, is told to stop, and has a clear word for what is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tiny import tiny_weights

from movinet.cli import main
from movinet.serve.settings import Clips

pytest.importorskip("starlette", reason="needs movinet[serve]")

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@posix
def test_a_server_shows_its_tokens_once_serves_and_stops_when_told(tmp_path: Path) -> None:
    weights = tiny_weights(tmp_path)
    settings = {"models": [str(weights)], "port": 0, "host": "0.0.0.0", "state": str(tmp_path / "state")}
    (tmp_path / "serve.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "movinet", "serve", "--config", str(tmp_path / "serve.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"movinet serves at http://localhost:(\d+)/", line):
                break
        else:
            pytest.fail(said)
        (token,) = re.findall(r"\b(mvv_\S+)", said)
        address = f"http://127.0.0.1:{found[1]}/api/models"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, timeout=20)
        assert refused.value.code == 401
        refused.value.close()
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["default"] == "tiny_stream.test"
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(20) in (143, -signal.SIGTERM)
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("line", "clips"),
    [
        ("", None),
        ("--record @", Clips("@", 5.0, 5.0, 300.0, 30.0, 10.0)),
        ("--record @ --before 1 --after 2 --keep-days 3 --keep-gb 4", Clips("@", 1.0, 2.0, 300.0, 3.0, 4.0)),
        ("--config set.yaml --keep-gb 4", Clips("elsewhere", longest=60.0, gigabytes=4.0)),
        ("--config set.yaml --record @", Clips("@", longest=60.0)),
    ],
)
def test_clips_are_recorded_by_the_options_of_watch(
    line: str, clips: Clips | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set.yaml").write_text("clips: {folder: elsewhere, longest: 60}")
    given = []
    monkeypatch.setattr("movinet.serve.run_server.run", lambda settings, **how: given.append(settings.clips))
    with pytest.raises(SystemExit) as stop:
        main(["serve", *line.split()])
    assert (stop.value.code, given) == (0, [clips])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--port 99999", "ports are 1 to 65535"),
        ("--tls-key x.pem", "belong together"),
        ("--source-host 192.168.1.1/24", "host bits"),
        ("--origin example.org", "want such as https://example.org"),
        ("--config none.yaml", "none.yaml"),
        ("--threads 0", "--threads"),
        ("--files @/none", "the folder cannot be read"),
        ("--camera -1", "their numbers begin at 0"),
        ("--max-streams 0", "max_streams"),
        ("--before 3", "--record names the folder"),
        ("--record @/clips --after -1", "recording after: want 0 to 600 seconds"),
        ("--host 203.0.113.1 --state @", "cannot listen at 203.0.113.1"),
    ],
)
def test_what_is_wrong_is_said(line: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["serve", *line.replace("@", str(tmp_path)).split()])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_without_the_extra_it_is_said_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(SystemExit) as stop:
        main(["serve"])
    assert stop.value.code == 2
    assert "movinet[serve]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "want entries"),
        ("prot: 1", "prot"),
        ("webhooks: [{address: [s3cret]}]", "want text"),
        ("mqtt: {host: x, topic: 'a/#'}", "topic"),
        ("bounds: {side: 0}", "side"),
        ("models: []", "at least one"),
        ("webhooks: [{address: 'http://x', secret_env: A, secret_file: b}]", "twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["serve", "--config", str(tmp_path / "serve.yaml")])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert words in said
    assert "s3cret" not in said
