"""Whoever types what other programs call it is told what it is called here."""

import shlex

import pytest

from movinet.cli import main
from movinet.cli.app import app
from movinet.cli.other_words import _COMMANDS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("classify x.mp4 --weights y", "Unknown option: --weights. Here it is --model."),
        ("classify x.mp4 --weights=y", "Unknown option: --weights. Here it is --model."),
        ("classify x.mp4 -k 3", "Here it is --topk."),
        ("classify x.mp4 --conf 0.5", "Unknown option: --conf"),  # which has nothing of the kind
        ("watch x.mp4 --conf 0.5", "Here it is --on."),
        ("watch --source x.mp4", "--source. What is looked at is named without an option"),
        ("predict x.mp4", 'Unknown command "predict". Here it is movinet classify'),
        ("frobnicate x.mp4", 'Unknown command "frobnicate". Available commands: classify'),
        ("export x --format onnx", "Unknown option: --format. Here it is --to."),
        ("export x", "movinet export: --to is missing (`movinet export --help` shows examples)"),
        ("export", "movinet export: MODEL is missing"),
        ("similar results", "movinet similar: CLIP is missing"),
        ("classify x.mp4 --topk", "--topk requires an argument"),
    ],
)
def test_what_is_called_otherwise_elsewhere_is_said(line: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    assert stop.value.code == 2
    said = " ".join(capfd.readouterr().err.split())
    assert words in said
    assert ("Here it is" in said) == ("Here it is" in words)


def test_what_is_named_is_there_and_nothing_of_ours_is_redirected() -> None:
    ours = set(app)
    assert set(_COMMANDS) <= ours
    assert not ours & {other for others in _COMMANDS.values() for other in others}
