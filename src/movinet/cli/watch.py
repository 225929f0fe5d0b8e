"""The command watch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from movinet.cli.app import DEFAULT_MODEL, Model, at_least_one, seconds
from movinet.cli.console import as_dict, complain, out, print_json, report_events
from movinet.cli.recognizing import load_recognizer, mode_of, track_of
from movinet.errors import MovinetError
from movinet.events import EventDetector
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.video.sources import Limits

if TYPE_CHECKING:
    from movinet.video.live import LiveSource


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

    mode = mode_of(precision, fast)
    recognizer = load_recognizer(
        model, labels, offline, engine, mode, device, threads, memory=memory, cache=not no_cache
    )
    if memory is None and recognizer.can_forget:
        recognizer.memory = recognizer.info.spec.frames / recognizer.info.spec.fps
    fps, limits = recognizer.info.transform.fps, Limits(tuple(allow_hosts), verify=not insecure)
    if len(sources) > 1:
        lives = {
            s: LiveSource(track_of(s, stream), fps, loop=loop, timeout=timeout, retries=retries, limits=limits)
            for s in sources
        }
        new_detector = partial(EventDetector, on, off, shortest, frozenset(ignore))
        return _watch_many(recognizer, lives, new_detector, duration, topk, as_json=json)
    source, detector = sources[0], EventDetector(on, off, shortest, frozenset(ignore))
    view = View(source, recognizer.info.name, topk)
    try:
        track = track_of(source, stream)
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
        StreamPool(recognizer.network, recognizer.engine, max_streams=len(sources)) as pool,
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
