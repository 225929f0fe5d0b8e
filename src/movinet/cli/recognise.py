"""Commands that recognise: classify, watch, demo."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from movinet.cli.app import DEFAULT_MODEL, Model, at_least_one, seconds
from movinet.cli.console import (
    as_dict,
    bar,
    complain,
    err,
    out,
    print_json,
    print_prediction,
    progress_bar,
    report_events,
    warn,
)
from movinet.cores import limit_torch
from movinet.errors import MovinetError, printable
from movinet.events import EventDetector
from movinet.prediction import Prediction
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Mode, Precision
from movinet.runtime.exported import ExportedNetwork
from movinet.runtime.factory import EngineKind
from movinet.video.container import Track, is_address
from movinet.video.sample import LABEL, sample_clip
from movinet.video.sources import DEFAULT_LIMITS, Limits
from movinet.words import counted

if TYPE_CHECKING:
    from movinet.video.live import LiveSource


def classify(
    *videos: str,
    model: Model = DEFAULT_MODEL,
    labels: Path | None = None,
    topk: int = 5,
    frames: bool = False,
    start: float = 0.0,
    end: float | None = None,
    stream: int | None = None,
    allow_hosts: Sequence[str] = (),
    insecure: bool = False,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    offline: bool = False,
    no_cache: bool = False,
    json: bool = False,
) -> int:
    """Say what videos show.

    Args:
        videos: video files, folders of images, or addresses.
        model: a name of `movinet models`, or a weights file.
        labels: a file with one label a line, for weights that bring none.
        topk: how many labels to show.
        frames: show the answer after every frame, not only the last (stream networks).
        start: begin at this second.
        end: stop at this second.
        stream: of a file with several video tracks, the one with this number, as ffprobe counts them; by default the
            one that moves.
        allow_hosts: hosts an address may lead to by redirect or playlist, beside its own: names, or `*.example.com`.
        insecure: take any certificate of an https server.
        engine: what runs a stream network: auto takes the quickest that is installed.
        precision: what the engine computes in; bfloat16 and float16 are quicker where the processor has them.
        fast: take the quickest precision this processor has, and the engine that has it; how often its labels are
            those of float32 is said where the weights know.
        device: where the network runs: cpu, cuda, mps.
        threads: of the processor; one for stream networks, all for base networks by default.
        offline: never download.
        no_cache: do not keep what the engine makes of the weights, which the next start would be spared.
        json: one JSON object a line, for programs.
    """
    if not videos:
        raise MovinetError("give at least one video file (`movinet classify --help` shows examples)")
    at_least_one("--topk", topk)
    seconds("--start", start)
    seconds("--end", end)
    if end is not None and end <= start:
        raise MovinetError(f"--end must come after --start; got {end} and {start}")
    mode = _mode(precision, fast)
    recognizer = _load(model, labels, offline, engine, mode, device, threads, memory=None, cache=not no_cache)
    limits = Limits(tuple(allow_hosts), verify=not insecure)
    failed = 0
    for video in videos:
        try:
            _classify_one(recognizer, video, stream, topk, frames, (start, end), limits, as_json=json)
        except MovinetError as error:
            failed += 1
            complain(error)
    return 2 if failed else 0


def watch(
    *sources: str,
    model: Model = DEFAULT_MODEL,
    labels: Path | None = None,
    memory: float | None = None,
    on: float = 0.5,
    off: float = 0.3,
    shortest: float = 0.0,
    ignore: Sequence[str] = (),
    topk: int = 5,
    duration: Annotated[float | None, Parameter(name="--seconds")] = None,
    loop: bool = False,
    stream: int | None = None,
    timeout: float = 10.0,
    retries: int | None = None,
    allow_hosts: Sequence[str] = (),
    insecure: bool = False,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    offline: bool = False,
    no_cache: bool = False,
    json: bool = False,
) -> int:
    """Watch cameras, network streams or files as they play.

    Args:
        sources: cameras' numbers, rtsp:// or http:// addresses, or files, which are played in real time.
        model: a name of `movinet models`, or a weights file; a stream network.
        labels: a file with one label a line, for weights that bring none.
        memory: seconds after which a frame hardly counts any more; by default the length of the clips the network was
            made for, 0 for never.
        on: probability at which an event begins.
        off: probability below which it ends.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events.
        topk: how many labels to show.
        duration: stop after so many seconds of the source.
        loop: begin again at the end of a file.
        stream: of sources with several video tracks, the one with this number, as ffprobe counts them; by default the
            one that moves.
        timeout: seconds an address may stay silent before it counts as lost.
        retries: failed attempts in a row after which a lost source is given up; never by default.
        allow_hosts: hosts an address may lead to by redirect or playlist, beside its own: names, or `*.example.com`.
        insecure: take any certificate of an https server.
        engine: what runs a stream network: auto takes the quickest that is installed.
        precision: what the engine computes in; bfloat16 and float16 are quicker where the processor has them.
        fast: take the quickest precision this processor has, and the engine that has it; how often its labels are
            those of float32 is said where the weights know.
        device: where the network runs: cpu, cuda, mps.
        threads: of the processor; one for stream networks, all for base networks by default.
        offline: never download.
        no_cache: do not keep what the engine makes of the weights, which the next start would be spared.
        json: one JSON object a line for every prediction and event, for programs.
    """
    at_least_one("--topk", topk)
    if not 0 < off < on <= 1:
        raise MovinetError(f"--off must lie between 0 and --on, and --on at most at 1; got {off} and {on}")
    for name, value in (("--memory", memory), ("--shortest", shortest), ("--seconds", duration)):
        seconds(name, value)
    if not 0 < timeout < inf:
        raise MovinetError(f"--timeout must be positive, got {timeout}")
    if retries is not None and retries < 0:
        raise MovinetError(f"--retries must be at least 0, got {retries}")
    if not sources:
        raise MovinetError("give a camera's number, an address or a file (`movinet watch --help` shows examples)")
    if len(set(sources)) < len(sources):
        raise MovinetError("a source is given twice; each can be watched once")
    from rich.live import Live

    from movinet.video.live import LiveSource
    from movinet.watching import View
    from movinet.watching import watch as look

    mode = _mode(precision, fast)
    recognizer = _load(model, labels, offline, engine, mode, device, threads, memory=memory, cache=not no_cache)
    if memory is None and recognizer.can_forget:
        recognizer.memory = recognizer.info.spec.frames / recognizer.info.spec.fps
    fps, limits = recognizer.info.transform.fps, Limits(tuple(allow_hosts), verify=not insecure)
    if len(sources) > 1:
        lives = {
            s: LiveSource(_track(s, stream), fps, loop=loop, timeout=timeout, retries=retries, limits=limits)
            for s in sources
        }
        new_detector = partial(EventDetector, on, off, shortest, frozenset(ignore))
        return _watch_many(recognizer, lives, new_detector, duration, topk, as_json=json)
    source, detector = sources[0], EventDetector(on, off, shortest, frozenset(ignore))
    view = View(source, recognizer.info.name, topk)
    try:
        track = _track(source, stream)
        with LiveSource(track, fps, loop=loop, timeout=timeout, retries=retries, limits=limits) as live:
            glances = look(recognizer, live, detector, duration)
            if json or not out.is_terminal:
                for glance in glances:
                    if json:
                        print_json({"type": "prediction", **as_dict(glance.prediction, topk), **glance.figures()})
                    report_events(glance.ended, json)
            else:
                with Live(console=out, refresh_per_second=10) as screen:
                    for glance in glances:
                        screen.update(view.render(glance))
    finally:  # also after Ctrl-C: an event that has begun is not lost
        report_events(detector.finish(), json)
    return 0


def _watch_many(
    recognizer: Recognizer,
    sources: Mapping[str, "LiveSource"],
    new_detector: Callable[[], "EventDetector"],
    duration: float | None,
    topk: int,
    *,
    as_json: bool,
) -> int:
    from rich.live import Live

    from movinet.runtime.pool import StreamPool
    from movinet.wall import Wall, watch_many

    failed = 0
    wall = Wall(list(sources), recognizer.info.name)
    with (
        StreamPool(recognizer.engine, recognizer.info, max_streams=len(sources)) as pool,
        Live(console=out, auto_refresh=False) if out.is_terminal and not as_json else nullcontext() as screen,
    ):
        for report in watch_many(pool, sources, new_detector, recognizer.memory, duration):
            if report.error is not None:
                failed += 1
                complain(report.error)
            if as_json and report.glance is not None:
                about = {"type": "prediction", "source": report.source}
                print_json({**about, **as_dict(report.glance.prediction, topk), **report.glance.figures()})
            report_events(report.ended, as_json, report.source)
            if screen is not None:
                wall.take(report)
                screen.update(wall.render(), refresh=True)
    return 2 if failed else 0


def demo(*, json: bool = False) -> int:
    """Recognise what a hand draws, frame by frame, in the clip that comes with movinet. Needs no network.

    Args:
        json: one JSON object a line, for programs.
    """
    recognizer = _load(DEFAULT_MODEL, None, True, "auto", "float32", "cpu", None, memory=None)
    clip = str(sample_clip())
    prediction = _classify_one(recognizer, clip, None, 3, True, (0.0, None), DEFAULT_LIMITS, as_json=json)
    if prediction.label != LABEL:
        complain(MovinetError(f"the hand drew {LABEL}, but the network says {prediction.label}"))
        return 1
    if not json:
        out.print(Text.assemble("\nThe hand drew ", (LABEL, "bold green"), ", and the network says so."))
        out.print("Now yours: `movinet watch 0` looks through your camera, `movinet classify VIDEO` at a file.")
    return 0


def _track(source: str, stream: int | None) -> str | Track:
    if stream is None:
        return source
    from movinet.video.live import camera_number

    if camera_number(source) is not None:
        raise MovinetError(f"--stream {stream}: a camera ({source}) has one; the option is for files and addresses")
    return Track(source, stream)


def _load(
    model: str,
    labels: Path | None,
    offline: bool,
    engine: EngineKind,
    precision: Mode,
    device: str,
    threads: int | None,
    memory: float | None,
    cache: bool = True,
) -> Recognizer:
    if threads is not None:
        at_least_one("--threads", threads)
    with progress_bar("downloading") as progress:
        recognizer = Recognizer.load(
            model,
            labels=labels,
            offline=offline,
            engine=engine,
            precision=precision,
            # On a small frame a second thread gains a tenth at best, and on a busy machine threads wait for each other.
            threads=threads or 1,
            device=device,
            memory=memory or None,
            cache=cache,
            progress=progress,
        )
    if precision == "fast" and recognizer.info.spec.causal:
        _tell_mode(recognizer)
    if recognizer.info.labels is None:
        warn(f"{recognizer.info.name} brings no labels, so classes go by number: --labels FILE names them, one a line")
    if threads is not None or recognizer.info.spec.causal:
        limit_torch(threads or 1)
    return recognizer


def _mode(precision: Precision, fast: bool) -> Mode:
    if fast and precision != "float32":
        raise MovinetError(f"--fast chooses the precision by itself: leave --precision {precision} out")
    return "fast" if fast else precision


def _tell_mode(recognizer: Recognizer) -> None:
    """What --fast came to, and what it costs."""
    engine, agreement = recognizer.engine, recognizer.info.agreement
    if isinstance(recognizer.network, ExportedNetwork):
        err.print(f"fast: {recognizer.info.name} runs in what it was exported in; the weights leave a choice")
        return
    what = f"{engine.kind} in {engine.precision}"
    if engine.precision == "float32":
        err.print(f"fast: {what}; this processor has nothing quicker that is installed")
    elif engine.precision in agreement:
        err.print(f"fast: {what}, which labels {agreement[engine.precision]:.1f} % of frames as float32 does")
    else:
        err.print(f"fast: {what}; how often it agrees with float32 was not measured for {recognizer.info.name}")


def _classify_one(
    recognizer: Recognizer,
    video: str,
    stream: int | None,
    topk: int,
    frames: bool,
    span: tuple[float, float | None],
    limits: Limits,
    *,
    as_json: bool,
) -> Prediction:
    start, end = span
    source = _track(video, stream)
    name = printable(video if is_address(video) else Path(video).name)
    if frames and not as_json:
        out.print(name, style="bold")
    if frames and not recognizer.info.spec.causal:
        raise MovinetError(f"--frames needs a stream network; {recognizer.info.name} sees whole clips only")
    with progress_bar(name) as progress:
        if not frames:
            prediction = recognizer.classify(source, start, end, limits=limits, progress=progress)
        else:
            for prediction in recognizer.stream(source, start, end, limits=limits):
                if progress:
                    progress(prediction.frames, None)
                if as_json:
                    print_json({"video": video, **as_dict(prediction, topk)})
                else:
                    print_prediction(prediction, topk)
            return prediction
    if as_json:
        print_json({"video": video, **as_dict(prediction, topk)})
        return prediction
    read = f"  {counted(prediction.frames, 'frame')} at {recognizer.info.transform.fps:g} a second"
    out.print(Text.assemble((name, "bold"), read))
    for label, probability in prediction.top(topk):
        out.print(f"  {probability:6.1%}  {bar(probability)}  {label}")
    return prediction
