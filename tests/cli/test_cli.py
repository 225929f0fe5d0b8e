"""The command line as a user meets it: answers, examples, and every kind of bad input ending in one message and 2."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from loopback import Answer, site
from tiny import tiny_weights

from movinet.cli import main
from movinet.cli.app import app
from movinet.video.encode import encode_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad files of every kind."""
    folder = tmp_path_factory.mktemp("files")
    noise = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)
    tiny_weights(folder)
    tiny_weights(folder, causal=False)
    encode_video(folder / "good.mp4", noise, fps=5)
    encode_video(folder / "one.mp4", noise[:1], fps=5)
    encode_video(folder / "odd.mkv", noise[:, :47, :61], fps=5)
    whole = (folder / "good.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video")
    (folder / "nothing").mkdir()
    (folder / "exported").mkdir()
    (folder / "exported" / "movinet_manifest.json").write_text("{}")
    (folder / "labels.txt").write_text("one\ntwo\n")
    (folder / "bad.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    (folder / "junk.tar.gz").write_bytes(b"\x1f\x8bjunk")
    (folder / "spec.yaml").write_text("name: [")
    with av.open(str(folder / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return folder


def run(folder: Path, line: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; `@` stands for the folder."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line.replace("@", str(folder))))
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


MODEL = "--model @/tiny_stream.safetensors"


@pytest.mark.parametrize("command", ["classify", "watch"])
def test_addresses_lead_where_the_user_allows(folder: Path, capfd: pytest.CaptureFixture[str], command: str) -> None:
    with site({"/good.mp4": (folder / "good.mp4").read_bytes()}, host="127.0.0.2") as other:
        moved = Answer(status=302, headers={"Location": other.url("/good.mp4", "127.0.0.2")})
        with site({"/good.mp4": moved}) as one:
            address = one.url("/good.mp4?token=s3cret", user="user:s3cret@")
            line = f"{command} {address} --model {folder / 'tiny_stream.safetensors'} --json"
            code, out, err = run(Path("@"), line, capfd)
            assert (code, '"top"' in out) == (2, False)
            assert "leads to another host, 127.0.0.2: refused" in err
            assert "s3cret" not in err
            assert other.asked == []
            code, out, err = run(Path("@"), f"{line} --allow-hosts 127.0.0.2", capfd)
            assert (code, "refused" in err) == (0, False)
            assert "probability" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"classify @/missing.mp4 {MODEL}", "no such file"),
        (f"classify 7 {MODEL}", "7: no video file; a camera is watched: `movinet watch 7`"),
        (f"classify @/empty.mp4 {MODEL}", "empty.mp4"),
        (f"classify @/text.mp4 {MODEL}", "text.mp4"),
        (f"classify @/cut.mp4 {MODEL}", "cut.mp4"),
        (f"classify @/sound.mp4 {MODEL}", "sound.mp4"),
        (f"classify @/nothing {MODEL}", "nothing"),
        (f"classify {MODEL}", "at least one video"),
        (f"classify @/good.mp4 {MODEL} --topk 0", "--topk"),
        (f"classify @/good.mp4 {MODEL} --topk many", "many"),
        (f"classify @/good.mp4 {MODEL} --threads 0", "--threads"),
        (f"classify @/good.mp4 {MODEL} --device toaster", "toaster"),
        (f"classify @/good.mp4 {MODEL} --start 5 --end 2", "end"),
        (f"classify @/good.mp4 {MODEL} --start 100", "good.mp4"),
        (f"classify @/good.mp4 {MODEL} --start nan", "--start"),
        (f"classify @/good.mp4 {MODEL} --end inf", "--end"),
        (f"classify @/good.mp4 {MODEL} --device meta", "meta"),
        (f"classify http://127.0.0.1:9/a.mp4 {MODEL}", "http://127.0.0.1:9/a.mp4"),
        (f"classify @/good.mp4 {MODEL} --labels @/labels.txt", "2 labels for 3 classes"),
        (f"classify @/good.mp4 {MODEL} --labels @/missing.txt", "missing.txt"),
        (f"classify @/good.mp4 {MODEL} --frobnicate", "frobnicate"),
        ("profile @/exported", "exported for another runtime"),
        ("convert @/exported @/out.safetensors", "exported for another runtime"),
        ("convert @/exported/model.onnx @/out.safetensors", "exported for another runtime"),
        ("classify @/good.mp4 --model @/tiny_base.safetensors --per-frame", "stream network"),
        ("classify @/good.mp4 --model @/missing.safetensors", "no such file"),
        ("classify @/good.mp4 --model @/bad.safetensors", "bad.safetensors"),
        ("classify @/good.mp4 --model @/junk.tar.gz", "junk.tar.gz"),
        ("classify @/good.mp4 --model @/text.mp4", "text.mp4"),
        ("classify @/good.mp4 --model movinet_a0_streem", "movinet_a0_stream"),
        (f"watch @/missing.mp4 {MODEL}", "no such file"),
        (f"watch @/good.mp4 {MODEL} --on 0.2 --off 0.5", "--off"),
        (f"watch @/good.mp4 {MODEL} --timeout 0", "--timeout"),
        (f"watch @/good.mp4 {MODEL} --before 3", "--record names the folder"),
        (f"watch @/good.mp4 {MODEL} --memory -1", "--memory"),
        (f"watch @/good.mp4 {MODEL} --memory nan", "--memory"),
        (f"watch @/good.mp4 {MODEL} --seconds -3", "--seconds"),
        (f"watch @/good.mp4 {MODEL} --retries -1", "--retries"),
        (f"watch http://127.0.0.1:9/ {MODEL} --timeout 1 --retries 0", "127.0.0.1"),
        ("watch @/good.mp4 --model @/tiny_base.safetensors", "base network"),
        ("profile movinet_a9_stream", "did you mean movinet_a6_stream"),
        ("profile @/spec.yaml", "spec.yaml"),
        ("profile @/junk.tar.gz", "movinet convert"),
        ("profile @/missing.yaml", "missing.yaml"),
        ("profile movinet_t0_stream --frames 0", "--frames"),
        ("convert @/missing.tflite @/out.safetensors", "missing.tflite"),
        ("convert @/tiny_stream.safetensors @/out.bin", ".safetensors"),
        ("convert @/tiny_base.safetensors @/tiny_stream.safetensors", "exists already; --force"),
        ("convert @/tiny_stream.safetensors @/no/folder/out.safetensors", "No such file"),
        ("convert @/tiny_stream.safetensors @/out.safetensors --option gate", "field=value"),
        ("convert @/tiny_stream.safetensors @/out.safetensors --option gate=door", "door"),
        ("convert @/tiny_stream.safetensors @/out.safetensors --option color=red", "color"),
        ("convert @/tiny_stream.safetensors @/out.safetensors --option 'gate=[x'", "gate"),
        *(
            (f"convert @/tiny_stream.safetensors @/out.safetensors --option {option}", option.partition("=")[0])
            for option in (
                "num_classes=abc",
                "size=5",
                "dropout=x",
                "hidden=true",
                "num_classes=[600]",
                "rezero=maybe",
                "name=",
            )
        ),
        ("data synthesize @/set --gestures wave", "wave"),
        ("data synthesize @/set --clips 0", "--clips"),
        ("data synthesize @/good.mp4 --clips 1", "good.mp4"),
        ("recognize", "recognize"),
    ],
)
def test_bad_input_ends_in_a_message_and_exit_code_2(
    folder: Path, line: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(folder, line, capfd)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["good.mp4", "one.mp4", "odd.mkv"])
def test_odd_but_sound_videos_are_classified(folder: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(folder, f"classify @/{name} {MODEL} --json", capfd)
    assert code == 0
    answer = json.loads(out)
    assert answer["video"].endswith(name)
    assert sum(entry["probability"] for entry in answer["top"]) == pytest.approx(1, abs=1e-4)


def test_a_bad_video_does_not_keep_the_good_ones_from_being_classified(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(folder, f"classify @/text.mp4 @/good.mp4 {MODEL}", capfd)
    assert code == 2
    assert "good.mp4" in out
    assert "text.mp4" in err


def test_frames_show_every_frame(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(folder, f"classify @/good.mp4 {MODEL} --per-frame --json --topk 1", capfd)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["frames"] for line in lines] == list(range(1, 13))
    _, text, _ = run(folder, f"classify @/good.mp4 {MODEL} --per-frame", capfd)
    assert len(text.splitlines()) == 13


def test_brackets_in_names_and_labels_are_shown_as_they_are(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "[Subs] clip [x9].mp4").write_bytes((folder / "good.mp4").read_bytes())
    (folder / "brackets.txt").write_text("[a]\nPushing [something] [/up]\nc\n")
    line = f"classify '@/[Subs] clip [x9].mp4' {MODEL} --labels @/brackets.txt --topk 3"
    for more in ("", "--per-frame"):
        code, out, _ = run(folder, f"{line} {more}", capfd)
        assert code == 0
        assert "[Subs] clip [x9].mp4" in out
        assert "[a]" in out
        assert "Pushing [something] [/up]" in out
    _, _, err = run(folder, f"classify '[gone].mp4' {MODEL}", capfd)
    assert "[gone].mp4: no such file" in err


def test_converting_keeps_answers_and_everything_needed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(folder, "convert @/tiny_base.safetensors @/copy.safetensors", capfd)
    run(folder, "convert @/tiny_stream.safetensors @/copy.safetensors --name tiny.copy --force", capfd)
    _, first, _ = run(folder, f"classify @/good.mp4 {MODEL} --json", capfd)
    _, second, _ = run(folder, "classify @/good.mp4 --model @/copy.safetensors --json", capfd)
    assert {**json.loads(first), "model": "tiny.copy"} == json.loads(second), "and whose answer it is, is told"


def test_models_and_profile_speak_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(folder, "models *t0_str", capfd)
    assert out == ""
    _, out, _ = run(folder, "models t0_str", capfd)
    assert [line.split()[0] for line in out.splitlines()] == [
        "weights",
        "movinet_t0_stream.gestures",
        "movinet_t0_stream",
    ]
    _, out, _ = run(folder, "models --json", capfd)
    models = [json.loads(line) for line in out.splitlines()]
    a0 = next(m for m in models if m["architecture"] == "movinet_a0_stream")
    assert a0["parameters"] == 3_748_031
    assert a0["weights"]["accuracy"]["top-1"] == 72.05
    assert a0["weights"]["transform"]["fps"] == 5
    _, out, _ = run(folder, "profile movinet_t0_stream --size 33 47 --frames 2 --repeats 1 --json", capfd)
    assert json.loads(out)["step_ms"] > 0
    _, out, _ = run(folder, "profile movinet_t0_base --size 32 32 --frames 2", capfd)
    assert "not a stream network" in out


def test_synthesize_writes_a_folder_a_class(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = "data synthesize @/set --clips 1 --size 32 32 --frames 3 --gestures star --gestures tick --workers 1"
    assert run(folder, line, capfd)[0] == 0
    assert sorted(p.parent.name for p in (folder / "set").glob("*/*.mp4")) == ["star", "tick"]
    assert "star" in (folder / "set" / "clips.csv").read_text()


def test_every_command_has_help_with_examples_to_copy(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("classify", "watch", "models", "profile", "convert", "demo", "evaluate", "data synthesize"):
        code, out, _ = run(Path(), f"{command} --help", capfd)
        assert code == 0
        shown = re.sub(r" \\ *\n +", " ", out.partition("\nExamples ")[2])  # as a shell reads it
        lines = [line.strip() for line in shown.splitlines() if line.strip()]
        assert any(line.startswith(f"movinet {command}") for line in lines)
        assert all(line.startswith(("movinet ", "ffmpeg ")) for line in lines), lines


def test_the_installed_program_runs() -> None:
    program = Path(sys.executable).with_name("movinet")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == app.version


def test_ctrl_c_before_the_command_line_is_there() -> None:
    code = """
import sys
import movinet.__main__

class Impatient:
    def find_spec(self, name, *_):
        if name == "movinet.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
movinet.__main__.run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_fast_says_what_it_came_to_and_what_it_costs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(folder, "classify @/good.mp4 --fast --no-cache --json", capfd)
    assert code == 0
    assert json.loads(out)["top"]
    assert "fast: " in err
    assert "% of frames as float32 does" in err or "nothing quicker" in err
    code, _, err = run(folder, f"classify @/good.mp4 {MODEL} --fast", capfd)
    assert code == 0
    assert "was not measured for tiny_stream" in err or "nothing quicker" in err
    code, _, err = run(folder, "classify @/good.mp4 --fast --precision int8", capfd)
    assert code == 2
    assert "--fast chooses" in err


@pytest.mark.parametrize("command", ["classify", "watch"])
def test_whoever_names_no_network_learns_what_the_default_knows(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "cache"))
    video = f"{command} @/one.mp4 --json"
    code, out, err = run(folder, video, capfd)
    assert code == 0
    assert all(json.loads(line) for line in out.splitlines())
    assert err.count("no --model: movinet_t0_stream.gestures knows 11 air gestures (caret,") == 1
    assert "600 everyday actions of Kinetics: --model movinet_a2_stream.k600" in err
    for named in ("", "--model movinet_t0_stream.gestures", MODEL):  # once on a machine
        code, _, err = run(folder, f"{video} {named}", capfd)
        assert (code, "no --model" in err) == (0, False)


def test_threads_that_no_machine_has_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("classify", "watch"):
        for threads in ("0", "100000"):
            with pytest.raises(SystemExit) as ended:
                main([command, "clip.mp4", "--threads", threads])
            assert ended.value.code == 2
            assert "--threads must lie in 1 to 1024" in capfd.readouterr().err


def test_a_tag_is_taken_for_the_network_it_belongs_to(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(folder, "classify @/good.mp4 --model gestures", capfd)
    assert (code, "did you mean movinet_t0_stream.gestures?" in err) == (2, True)


def test_events_of_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(folder, f"classify @/good.mp4 {MODEL} --events --json", capfd)
    assert code == 0
    assert "brings no thresholds" in err
    for line in map(json.loads, out.splitlines()):
        assert line.keys() == {"video", "label", "start", "end", "confidence"}
    code, _, err = run(folder, f"classify @/good.mp4 {MODEL} --events --per-frame", capfd)
    assert (code, "choose one" in err) == (2, True)
    code, out, err = run(folder, f"classify @/empty.mp4 @/one.mp4 {MODEL} --events", capfd)
    assert (code, out.splitlines()[0]) == (2, "one.mp4  no event")
    assert "empty.mp4" in err
    assert "empty.mp4" not in out


def test_videos_of_a_folder_are_told_apart(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for below in ("a", "b/c"):
        (tmp_path / below).mkdir(parents=True)
        (tmp_path / below / "same.mp4").write_bytes((folder / "one.mp4").read_bytes())
    model = MODEL.replace("@", str(folder))
    code, out, _ = run(tmp_path, f"classify @ {model} --topk 1", capfd)
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[::2]] == ["a/same.mp4", "b/c/same.mp4"]


def test_a_file_that_looks_like_an_option(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-dash.mp4").write_bytes((folder / "one.mp4").read_bytes())
    code, _, err = run(folder, f"classify -dash.mp4 {MODEL}", capfd)
    assert (code, "is given as ./-dash.mp4" in err) == (2, True)
    code, _, err = run(folder, f"classify ./-dash.mp4 {MODEL}", capfd)
    assert code == 0, err


def test_labels_may_be_given_as_they_are(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(folder, f"classify @/good.mp4 {MODEL} --labels up,down,out --json", capfd)
    assert code == 0
    assert {top["label"] for top in json.loads(out)["top"]} == {"up", "down", "out"}


def test_at_the_end_nobody_looks_for_garbage() -> None:
    """Among all that is imported that takes as long as to import a quarter of it."""
    program = """
import atexit, gc, sys
import movinet.__main__
atexit.register(lambda: print(gc.get_freeze_count() > 10_000, file=sys.stderr))
sys.argv = ["movinet", "--version"]
movinet.__main__.run()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "True\n"
