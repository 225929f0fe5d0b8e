"""The command, as people use it: every video has its row, once, whatever happens on the way."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow.parquet as pq
import pytest
from archive.videos import by_name, rows_of, run, run_scan, scan_command, small_video
from tiny import LABELS, tiny_spec, tiny_weights

from movinet.arch.zoo import temporal_ensemble
from movinet.archive.listing import list_items
from movinet.archive.results import open_results
from movinet.archive.scan_run import Scan
from movinet.archive.tasks import Outcome, Task
from movinet.archive.workers import Lost
from movinet.nn.ensemble import Ensemble
from movinet.recognizer import Recognizer
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        small_video(folder / f"{number}.mp4", 2.0 + number, seed=number)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "broken.mp4").write_bytes(b"not a video")
    shutil.copyfile(folder / "0.mp4", folder / os.fsdecode(b"odd\xff\nname.mp4"))
    return folder


MANY = 12


def many_videos(folder: Path) -> Path:
    """So many, each of which takes a moment."""
    first = small_video(folder / "first.mp4", 45.0)
    (folder / "many").mkdir()
    for number in range(MANY):
        shutil.copyfile(first, folder / "many" / f"{number}.mp4")
    return folder / "many"


def looking(process: subprocess.Popen[bytes], videos: Path) -> list[int]:
    """The workers that have a video open, of a folder or this one."""
    found = []
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with suppress(OSError):  # it has just ended, or closed the file
            if any(Path(os.readlink(file)).is_relative_to(videos) for file in Path(f"/proc/{child}/fd").iterdir()):
                found.append(int(child))
    return found


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < until
        time.sleep(0.02)


def test_every_video_has_its_row_and_changes_are_seen(videos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    options = (videos, "--out", out, "--model", model, "--processes", "1", "--memory", "0", "--frames", "--embeddings")
    run_scan(*options, code=1)
    rows = by_name(out)
    assert len(rows) == 6
    assert "empty" in rows["empty.mp4"]["error"]
    assert "not a video" in rows["broken.mp4"]["error"]
    failures = [json.loads(line)["path"] for line in (out / "failures.jsonl").read_text().splitlines()]
    assert sorted(failures) == [str(videos / "broken.mp4"), str(videos / "empty.mp4")]

    good = rows["2.mp4"]
    wanted = Recognizer.load(model).classify(videos / "2.mp4")
    assert [entry["label"] for entry in good["last"]] == [label for label, _ in wanted.top(5)]
    assert good["last"][0]["probability"] == pytest.approx(wanted.confidence, abs=1e-5)
    assert (good["frames"], good["error"], good["damaged"]) == (20, None, 0.0)
    assert good["duration"] == pytest.approx(4.0)
    assert good["size"] == (videos / "2.mp4").stat().st_size

    table = pq.read_table(out / "rows").to_pylist()
    assert sorted(row["path"] for row in table if row["error"] is None)[0] == str(videos / "0.mp4")
    assert "odd\\xff\nname.mp4" in "".join(row["path"] for row in table)
    frames = pq.read_table(out / "frames").to_pylist()
    assert len(frames) == sum(row["frames"] for row in rows.values())
    of_good = [frame for frame in frames if frame["path"] == good["path"]]
    np.testing.assert_allclose(np.max([frame["probabilities"] for frame in of_good], 0), good["maxima"], atol=1e-3)
    seconds = pq.read_table(out / "embeddings").to_pylist()
    assert [row["time"] for row in seconds if row["path"] == good["path"]] == [0.0, 1.0, 2.0, 3.0]
    assert not list((out / "spool").iterdir())

    small_video(videos / "1.mp4", 1.0, seed=9)
    small_video(videos / "3.mp4", 1.0, seed=3)
    (videos / "empty.mp4").unlink()
    said = run_scan(*options, "--retry-failed", "--json", code=1)
    told = [json.loads(line) for line in said.splitlines()]
    done = [os.path.basename(line["path"]) for line in told if line["type"] in ("done", "failed")]
    assert sorted(done) == ["1.mp4", "3.mp4", "broken.mp4"]
    rows = by_name(out)
    assert len(rows) == 7
    assert rows["1.mp4"]["frames"] == 5
    frames = pq.read_table(out / "frames").to_pylist()
    assert len(frames) == sum(row["frames"] for row in rows.values())

    said = run_scan(*options, code=1)
    assert said.startswith("0 videos done, 5 done before, 1 failed before")
    status = json.loads(run_scan("status", out, "--json"))
    assert (status["done"], status["failed"], status["at_work"]) == (5, 2, False)

    best = run("similar", out, videos / "2.mp4", "--json", "--topk", "2").splitlines()
    assert json.loads(best[0])["path"] == good["path"]
    assert json.loads(best[0])["cosine"] == pytest.approx(1.0, abs=1e-4)
    assert json.loads(best[1])["cosine"] <= json.loads(best[0])["cosine"]


def test_other_settings_and_other_things_are_refused(videos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    run_scan(videos / "0.mp4", "--out", out, "--model", model, "--processes", "1")
    # A line of the journal that is not as it was written costs the work, and no row is there twice for it.
    data = bytearray((out / "journal").read_bytes())
    data[data.index(b"0.mp4")] ^= 1
    (out / "journal").write_bytes(data)
    said = run_scan(videos / "0.mp4", "--out", out, "--model", model, "--processes", "1")
    assert said.startswith("1 video done;")
    assert list(by_name(out)) == ["0.mp4"]

    assert "holds results with topk 5, not 2" in run_scan(videos, "--out", out, "--model", model, "--topk", "2", code=2)
    assert "has other things in it" in run_scan(videos, "--out", videos, "--model", model, code=2)

    spec = tiny_spec()
    weights = Weights.of(Ensemble(temporal_ensemble("pair", spec, spec)))
    save_weights(tmp_path / "pair.safetensors", weights.arrays, weights.info)
    pair = ("--out", tmp_path / "pair", "--model", tmp_path / "pair.safetensors", "--embeddings")
    assert "no ensembles, give embeddings" in run_scan(videos, *pair, code=2)
    assert not (tmp_path / "pair").exists()


def test_a_network_of_the_same_arrays_that_says_other_things_is_refused(videos: Path, tmp_path: Path) -> None:
    """The file of the model is another one under its old name: of other labels, and of another activation."""
    model, out, labels = tiny_weights(tmp_path), tmp_path / "results", tmp_path / "labels.txt"
    line = ("--out", out, "--model", model, "--embeddings", "--processes", "1")
    run_scan(videos / "0.mp4", *line)
    weights = load_weights(model)
    labels.write_text("left\nright\nnothing\n")
    said = run_scan(videos, *line, "--labels", labels, code=2)
    assert "holds results with labels ['left', 'right', 'other'], not ['left', 'right', 'nothing']" in said
    other = weights.with_options(activation="relu")
    save_weights(model, other.arrays, other.info)
    assert "holds results of a network of the same parameters" in run_scan(videos, *line, code=2)
    assert "not the network that" in run("similar", out, videos / "0.mp4", code=2)
    save_weights(tmp_path / "moved.safetensors", weights.arrays, weights.info)
    assert run("similar", out, videos / "0.mp4", "--model", tmp_path / "moved.safetensors")
    run("export", tmp_path / "moved.safetensors", "--to", "onnx", "--out", tmp_path / "onnx")
    assert run("similar", out, videos / "0.mp4", "--model", tmp_path / "onnx"), "it says the same"
    run("export", tmp_path / "moved.safetensors", "--to", "onnx", "--precision", "int8", "--out", tmp_path / "int8")
    assert "not the network that" in run("similar", out, videos / "0.mp4", "--model", tmp_path / "int8", code=2)


def test_killed_anywhere_the_same_command_goes_on(model: Path, tmp_path: Path) -> None:
    """Kill -9 with rows in the journal and none in a table; meanwhile a second run is refused, and its workers end with
    it."""
    folder, out = many_videos(tmp_path), tmp_path / "results"
    options = (folder, "--out", out, "--model", model, "--processes", "2", "--json")
    process = subprocess.Popen(scan_command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = out / "journal"
    try:
        wait_for(lambda: journal.exists() and journal.read_bytes().count(b" row ") >= 2, process)
        process.send_signal(signal.SIGSTOP)
        assert "another scan is at work" in run_scan(*options, code=2)
        assert json.loads(run_scan("status", out, "--json"))["at_work"]
    finally:
        process.kill()
        process.wait()
    done = journal.read_bytes().count(b" row ")
    with journal.open("ab") as file:
        file.write(b"12345678 row torn")
    said = [json.loads(line) for line in run_scan(*options).splitlines()]
    assert len([line for line in said if line["type"] == "done"]) == MANY - done
    assert sorted(by_name(out)) == sorted(f"{number}.mp4" for number in range(MANY))


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system stops no processes")
@pytest.mark.slow
def test_workers_that_die_or_hang_are_replaced(model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "videos", tmp_path / "results"
    folder.mkdir()
    for number in range(2):
        small_video(folder / f"{number}.mp4", 2400.0, seed=number)
    options = (folder, "--out", out, "--model", model, "--processes", "2", "--memory", "0", "--timeout", "5")
    process = subprocess.Popen(scan_command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(looking(process, folder)) == 2, process)
        first, second = looking(process, folder)
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGSTOP)
        process.wait(300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, 1)
    errors = [row["error"] for row in rows_of(out)]
    assert len(errors) == 2
    assert all(error is None or "no frame for 5 s" in error for error in errors)
    assert errors.count(None) == 1, "the video of the one that died was looked at again; the other one's hung"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system stops no processes")
@pytest.mark.slow
def test_a_scan_that_was_stopped_for_a_while_takes_nobody_to_hang(model: Path, tmp_path: Path) -> None:
    """As by Ctrl-Z and fg, after longer than the timeout."""
    out = tmp_path / "results"
    video = small_video(tmp_path / "long.mp4", 2400.0)
    options = (video, "--out", out, "--model", model, "--processes", "1", "--memory", "0", "--timeout", "10")
    command = scan_command(*options)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: bool(looking(process, video)), process)
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(20)
        os.killpg(process.pid, signal.SIGCONT)
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.wait()
    assert [(row["error"], row["frames"]) for row in rows_of(out)] == [(None, 12000)]


def test_control_c_keeps_what_is_done(model: Path, tmp_path: Path) -> None:
    folder, out = many_videos(tmp_path), tmp_path / "results"
    options = (folder, "--out", out, "--model", model, "--processes", "1")
    process = subprocess.Popen(scan_command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (out / "journal").exists() and b" row " in (out / "journal").read_bytes(), process)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        assert process.wait(120) == 130
    finally:
        process.kill()
        process.wait()
    assert 0 < len(by_name(out)) < MANY
    assert set(LABELS) >= {entry["label"] for entry in rows_of(out)[0]["last"]}


def test_workers_wait_for_no_disk(videos: Path, tmp_path: Path) -> None:
    """They have their next videos before what came of the last is kept."""
    order: list[str] = []

    class Eager:
        """A worker that has looked at once."""

        busy, ready = 0, True

        def __init__(self) -> None:
            self.tasks: list[Task] = []

        def room(self, ahead: bool) -> int:
            return 1 - len(self.tasks)

        def give(self, task: Task) -> None:
            order.append("given")
            self.tasks.append(task)

        def take(self, seconds: float) -> list[Outcome | Lost]:
            order.append("taken")
            return [Lost(self.tasks.pop(), "no frame")]

        def close(self) -> None:
            pass

    with open_results(tmp_path / "results", {}) as results:
        results.keep_up = lambda: order.append("kept")  # type: ignore[method-assign]
        scan = Scan(results, list_items([str(videos)], print), results.read(), False, "tiny", "0")
        assert scan.run(Eager(), lambda progress, row: None, Event())
    assert order == ["given", "kept", "taken"] * 6
