"""What weights, data and files call themselves moves no cursor, changes no color, and is no way out of a folder."""

import json
import logging
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text
from tiny import tiny_spec, tiny_weights

from movinet.cli import main
from movinet.cli.console import err, out, print_json
from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.errors import MovinetError, printable
from movinet.files import dump_json
from movinet.live.view import View
from movinet.video.encode import encode_video
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import read_weights, save_weights

# Clears the screen, sets the title, goes up a line, the same by single characters, turns letters around.
NASTY = "\x1b[2J\x1b]0;title\x07\rup\x1b[A\x9b2J\x9d0;t\x9c\u202egpj.exe\x7f\b\n"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MARKUP = "[red]x[/red] :apple: [link=https://example.org]"


def run(folder: Path, line: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; `@` stands for the folder."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line.replace("@", str(folder))))
    return int(stop.value.code or 0), *capfd.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and a video whose names are nasty."""
    folder = tmp_path_factory.mktemp("names")
    state, info = read_weights(tiny_weights(folder))
    nasty = replace(
        info,
        name=f"../../{NASTY}{MARKUP}.tag",
        spec=info.spec.with_options(name=f"../{NASTY}"),
        labels=(f"a{NASTY}", f"b{MARKUP}", "/etc/passwd"),
        source=NASTY,
    )
    save_weights(folder / "nasty.safetensors", state, nasty)
    video = folder / f"{NASTY.replace('/', '')}.mp4"
    encode_video(video, render_gesture("star", 1, (24, 32), 10, 5.0).frames, 5.0)
    video.rename(folder / f"{printable('v')}\x1b[2J\u202e[bold].mp4")
    (folder / "broken\x1b[2J.mp4").write_text("not a video")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "classify @/v*.mp4 --model @/nasty.safetensors --topk 3",
        "classify @/v*.mp4 --model @/nasty.safetensors --topk 3 --per-frame",
        "classify @/v*.mp4 --model @/nasty.safetensors --json",
        "watch @/v*.mp4 --model @/nasty.safetensors --seconds 1",
        "watch @/v*.mp4 --model @/nasty.safetensors --seconds 1 --json",
        "classify @/broken*.mp4 --model @/nasty.safetensors",
        "profile @/nasty.safetensors --repeats 1 --engine plain",
        "convert @/nasty.safetensors @/again.safetensors --force",
        "data check @",
    ],
)
def test_nothing_a_terminal_obeys_is_printed(line: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for pattern in re.findall(r"@/(\w+\*\.mp4)", line):
        (found,) = folder.glob(pattern)
        line = line.replace(f"@/{pattern}", shlex.quote(str(found)))
    _, printed, complained = run(folder, line, capfd)
    assert printed + complained
    assert not OBEYED.search(printed + complained), (printed, complained)


def test_markup_is_only_text(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (video,) = folder.glob("v*.mp4")
    _, printed, _ = run(folder, f"classify {shlex.quote(str(video))} --model @/nasty.safetensors --topk 3", capfd)
    assert MARKUP in printed
    assert "[bold]" in printed


def test_consoles_keep_their_own_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    for console in (out, err):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "_color_system", None)
        with console.capture() as captured:
            console.print(Text.assemble(("bold\x1b[31m", "bold"), "\x9b1m"), "plain\x1b[2J")
        assert "\\x1b[31m" in captured.get()
        assert "\x1b[31m" not in captured.get()
        assert "\x1b[2J" not in captured.get()
        assert "\x9b" not in captured.get()


def test_many_sources_and_their_names_are_text() -> None:
    view = View([f"/x/{MARKUP}.mp4", "b"], MARKUP)
    console = Console(width=200)  # one of somebody else's, which knows markup
    with console.capture() as captured:
        console.print(view)
    assert captured.get().count("[red]x[/red] :apple:") == 1, "of a path the last part is shown"
    assert "example.org]" in captured.get()


def test_labels_are_clean_where_programs_print_them(folder: Path) -> None:
    info = load_weights(folder / "nasty.safetensors").info
    assert info.labels is not None
    for name in (info.name, info.source, *info.labels):
        assert printable(name) == name
    assert len(set(info.labels)) == 3
    (folder / "labels.txt").write_text("one\x1b[2J\ntwo\nthree\n")
    labels = load_weights(folder / "tiny_stream.safetensors", labels=folder / "labels.txt").info.labels
    assert labels == ("one\\x1b[2J", "two", "three")


def test_errors_say_names_as_text() -> None:
    error = MovinetError("a\x1b[2J\x9b.mp4: cannot\nbe read")
    assert str(error) == "a\\x1b[2J\\x9b.mp4: cannot\nbe read"


def test_json_is_what_it_was_and_nothing_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    value = {NASTY: [NASTY, "ä\u2028"]}
    assert json.loads(dump_json(value)) == value
    print_json(value)
    assert not OBEYED.search(capsys.readouterr().out)


def test_what_is_logged_is_text(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy(*_: object, **__: object) -> list[object]:
        logging.getLogger("movinet.somewhere").warning("%s: odd", NASTY)
        return []

    monkeypatch.setattr("movinet.cli.models.entries", noisy)
    _, _, complained = run(folder, "models --json", capfd)
    assert "! \\x1b[2J" in complained
    assert not OBEYED.search(complained)
    assert not logging.getLogger("movinet").handlers


def test_an_export_lands_in_the_folder_it_is_made_in(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    code, printed, complained = run(folder, "export @/nasty.safetensors --to litert", capfd)
    assert code == 0, complained
    assert not OBEYED.search(printed + complained)
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_weights_may_be_called_anything() -> None:
    spec = tiny_spec()
    info = WeightsInfo(f"a\n{NASTY}", spec, default_transform(spec), ("x", "y", "\x9b"))
    read = WeightsInfo.from_dict(info.to_dict())
    assert read.name == printable(f"a\n{NASTY}")
    assert read.labels == ("x", "y", "\\x9b")
