"""The command scan."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from movinet.arch.spec import EnsembleSpec
from movinet.archive.items import Item
from movinet.archive.lanes import Machinery
from movinet.archive.listing import list_items
from movinet.archive.results import SCRATCH, SPOOL, open_results, read_status
from movinet.archive.scan_run import Progress, Scan, summary
from movinet.archive.tally import Answers
from movinet.archive.tasks import Wishes
from movinet.archive.workers import Processes, Workers
from movinet.cli.app import Model, at_least_one, seconds
from movinet.cli.console import complain, err, out, print_json, progress_bar, warn
from movinet.cli.recognizing import mode_of, tell_default
from movinet.cli.stopping import until_stopped
from movinet.cores import usable_cores
from movinet.errors import MovinetError, needs_extra, printable
from movinet.events import what_is_promised
from movinet.prediction import check_classifier
from movinet.runtime.engine import Precision, usual_memory
from movinet.runtime.exported import ExportedNetwork, answers_hash
from movinet.runtime.factory import EngineKind
from movinet.runtime.foreign_tflite import ForeignFile
from movinet.runtime.open_network import open_network
from movinet.weights.info import WeightsInfo
from movinet.weights.registry import DEFAULT_MODEL
from movinet.words import counted, lasting

_LANES = 16  # videos that share a GPU's batches
_SHOWN_EVERY, _TOLD_EVERY = 0.5, 10.0  # seconds: on a terminal, and in lines


def scan(
    *sources: str,
    out_folder: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    model: Model = None,
    labels: Path | None = None,
    memory: float | None = None,
    on: float | None = None,
    off: float | None = None,
    shortest: float | None = None,
    ignore: Sequence[str] = (),
    topk: int = 5,
    frames: bool = False,
    embeddings: bool = False,
    piece: float | None = None,
    retry_failed: bool = False,
    processes: int | None = None,
    timeout: float = 120.0,
    ray: str | None = None,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    device: str = "cpu",
    lanes: int | None = None,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Look at every video of an archive, and keep what is in it, in tables.

    Args:
        sources: folders, files, patterns in quotes, lists (.csv, .parquet, .jsonl, .txt), or s3://, gs:// and https://
            prefixes; or `status` and a folder of results, to see how far it is.
        out_folder: the folder of the results; the same command goes on where it stopped.
        model: a name of `movinet models`, or a weights file; a stream network, by default the bundled
            movinet_t0_stream.gestures.
        labels: a file with one label a line, for weights that bring none.
        memory: seconds after which a frame hardly counts any more, 0 for never; by default what the network's
            thresholds were chosen with, or the length of the clips it was made for.
        on: probability at which an event begins; by default as the weights say, or 0.5.
        off: probability below which it ends; by default as the weights say, or 0.3.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events, beside the network's background.
        topk: how many labels a row has.
        frames: keep every frame's probabilities, in a table of their own.
        embeddings: keep one vector a second, for `movinet similar`.
        piece: seconds of the pieces that long files are cut into, 0 for never; by default ten minutes or, with a long
            memory, longer. Where the network never forgets, nothing is cut.
        retry_failed: look again at videos that failed.
        processes: that look at videos, one a core; by default as many as there are cores to use.
        timeout: seconds without a frame after which a file is given up.
        ray: the address of a Ray cluster that does the work (`auto` for the one this machine belongs to, `local` for
            one that is started here).
        engine: what runs the network: auto takes the quickest that is installed.
        precision: what the engine computes in; bfloat16 and float16 are quicker where the processor has them.
        fast: take the quickest precision this processor has, and the engine that has it.
        device: where the network runs: cpu, or cuda, of which every GPU that is there is used (cuda:1 for one).
        lanes: videos that are decoded at once for each GPU, and share its batches; by default as many as there are
            cores, 16 at most.
        offline: never download.
        json: one JSON object a line for every video, and for the progress.
    """
    if sources[:1] == ("status",):
        return show_status(sources[1:], as_json=json)
    if not sources or out_folder is None:
        raise MovinetError("give something to scan, and --out FOLDER for the results (`movinet scan --help`)")
    at_least_one("--topk", topk)
    for name, value in (("--memory", memory), ("--shortest", shortest), ("--piece", piece)):
        seconds(name, value)
    if not 1 <= timeout < float("inf"):
        raise MovinetError(f"--timeout must be seconds, at least 1; got {timeout}")
    for name, count in (("--processes", processes), ("--lanes", lanes)):
        if count is not None:
            at_least_one(name, count)
    with needs_extra("archive"):
        import pyarrow  # noqa: F401
    mode = mode_of(precision, fast)
    source = model or DEFAULT_MODEL
    with progress_bar("downloading") as progress:
        network = open_network(source, labels=labels, offline=offline, progress=progress)
    info, known_hash, network_hash = network.info, network.hash, answers_hash(network)
    is_foreign = isinstance(network, ExportedNetwork) and isinstance(network.source, ForeignFile)
    del network
    check_classifier(info)
    if not info.spec.causal:
        raise MovinetError(f"{info.name} is a base network, which sees whole clips; take a stream network")
    if embeddings and (is_foreign or isinstance(info.spec, EnsembleSpec)):
        raise MovinetError(f"{info.name}: only networks of our own, and no ensembles, give embeddings")
    if model is None:
        tell_default(info)
    answers = Answers(_memory(info, memory, is_foreign), on, off, shortest, tuple(ignore), topk)
    detector = answers.detector(info)
    if (promised := what_is_promised(info, answers.memory, mode)) is not None:
        err.print(promised, style="dim")
    wishes = Wishes(answers, frames, embeddings, piece)
    settings: dict[str, Any] = {
        "movinet scan": 1,
        "model": info.name,
        "hash": known_hash,
        "network_hash": network_hash,
        "precision": mode,
        "memory": answers.memory,
        "topk": topk,
        **{name: getattr(detector, name) for name in ("on", "off", "shortest", "refractory", "warm_up")},
        "ignore": sorted(detector.ignore),
        "by_label": _by_label(info) if on is None and off is None else {},
        "frames_kept": frames,
        "embeddings": embeddings,
        "source": str(Path(source).absolute()) if Path(source).exists() else source,
        "labels": [info.label(index) for index in range(info.spec.num_classes)],
    }
    problems: list[str] = []

    def told_problem(words: str) -> None:
        problems.append(words)
        warn(words)

    with until_stopped() as stopping, open_results(out_folder, settings) as results:
        if results.journal.torn or results.journal.damaged:
            warn(
                f"{results.journal.path}: {counted(results.journal.torn, 'byte')} of a torn last line and "
                f"{counted(results.journal.damaged, 'damaged line')}; what they told is done again"
            )
        done = results.read()
        items: list[Item] = list_items(sources, told_problem)
        run = Scan(results, items, done, retry_failed, info.name, known_hash)
        del items, done
        complete = True
        if run.left:
            machinery = Machinery(
                settings["source"],
                known_hash,
                None if labels is None else str(labels.absolute()),
                engine,
                mode,
                device,
                1,
                wishes,
                str((out_folder / SPOOL).absolute()),
                results.run,
                offline,
                str((out_folder / SCRATCH).absolute()),
            )
            workers = _workers(machinery, processes, lanes, timeout, ray)
            try:
                with _display(json) as tell:
                    complete = run.run(workers, tell, stopping.event)
            finally:
                workers.close()
        else:
            results.finish()
        figures = run.progress
        if json:
            print_json({"type": "summary", "complete": complete, "problems": problems, **figures.to_dict()})
        else:
            out.print(summary(figures, len(problems)))
    stopping.leave()
    return 1 if figures.failed or figures.failed_before or problems else 0


def _memory(info: WeightsInfo, wanted: float | None, is_foreign: bool) -> float | None:
    """Seconds, or None for never: as of `movinet watch`."""
    if wanted is not None:
        return wanted or None
    return None if is_foreign else usual_memory(info)


def _by_label(info: WeightsInfo) -> dict[str, Any]:
    point = info.operating_point
    return {} if point is None else {label: asdict(own) for label, own in point.by_label.items()}


def show_status(folders: Sequence[str], *, as_json: bool) -> int:
    """How far a scan is, whether one is at work or not."""
    if len(folders) != 1:
        raise MovinetError("give one folder of results: movinet scan status FOLDER (a folder called status: ./status)")
    status = read_status(Path(folders[0]))
    if as_json:
        print_json(status)
        return 0
    at_work = "a scan is at work" if status["at_work"] else "no scan is at work"
    out.print(f"{counted(status['done'], 'video')} done, {status['failed']} failed; {at_work}")
    video, cores = (lasting(3600 * status[name]) for name in ("hours_of_video", "core_hours"))
    out.print(f"{video} of video in {cores} of one core")
    out.print(f"{counted(status['events'], 'event')}; {status['model']}; {counted(status['parts'], 'part')} of tables")
    return 0


def _workers(
    machinery: Machinery, processes: int | None, lanes: int | None, timeout: float, ray: str | None
) -> Workers:
    from dataclasses import replace

    kind, _, number = machinery.device.partition(":")
    if ray is not None:
        from movinet.archive.ray_workers import RayWorkers

        return RayWorkers(replace(machinery, scratch=None), ray, processes, timeout)
    if kind == "cpu":
        return Processes([machinery] * (processes or usable_cores()), timeout)
    count = 1
    if kind == "cuda" and not number:
        with needs_extra("torch"):
            import torch
        count = max(1, torch.cuda.device_count())
    shared = lanes or max(1, min(_LANES, usable_cores() // count))
    devices = [machinery.device] if number or count == 1 else [f"{kind}:{one}" for one in range(count)]
    return Processes([replace(machinery, device=device, lanes=shared) for device in devices], timeout)


@contextmanager
def _display(as_json: bool) -> Iterator[Any]:
    """What is told while it goes on: lines of JSON, a bar on a terminal, or a line now and then."""
    last = [time.monotonic()]

    def due(every: float) -> bool:
        now = time.monotonic()
        if now - last[0] < every:
            return False
        last[0] = now
        return True

    def told_as_json(progress: Progress, row: dict[str, Any] | None) -> None:
        if row is not None:
            told = {name: row[name] for name in ("path", "duration", "frames", "mean", "events", "error", "seconds")}
            print_json({"type": "failed" if row["error"] else "done", **told})
        elif due(_TOLD_EVERY):
            print_json({"type": "progress", **progress.to_dict()})

    def told_as_lines(progress: Progress, row: dict[str, Any] | None) -> None:
        if row is not None and row["error"]:
            complain(MovinetError(row["error"]))
        if row is None and due(_TOLD_EVERY):
            err.print(_line(progress), style="dim")

    if as_json:
        yield told_as_json
        return
    if not err.is_terminal:
        yield told_as_lines
        return
    from rich.status import Status

    with Status("beginning", console=err) as status:

        def told_on_terminal(progress: Progress, row: dict[str, Any] | None) -> None:
            if row is not None and row["error"]:
                err.print(printable(row["error"]), style="yellow")
            if due(_SHOWN_EVERY):
                status.update(_line(progress))

        yield told_on_terminal


def _line(progress: Progress) -> str:
    did = progress.done + progress.failed
    left = progress.left
    time_left = "" if left is None else f", {_clock(left)} left"
    failed = f", {progress.failed} failed" if progress.failed else ""
    times = progress.video_seconds / progress.seconds
    rate = f"{did / progress.seconds:.1f} a second, {times:.0f} times as fast as they play"
    return f"{progress.before + progress.failed_before + did} of {progress.total} videos{failed}; {rate}{time_left}"


def _clock(seconds_left: float) -> str:
    minutes, rest = divmod(round(seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
