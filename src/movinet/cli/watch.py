"""The command watch."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from movinet.cli.app import Model, at_least_one, seconds
from movinet.cli.check_cameras import show_cameras
from movinet.cli.console import as_printed, complain, err, out, print_nowhere, warn, warnings_told
from movinet.cli.line_writer import LineWriter
from movinet.cli.recognizing import load_pool, mode_of, read_logins, tell_default
from movinet.cli.stopping import until_stopped
from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.live.actions import Action, Actions
from movinet.live.annotated import AnnotatedVideo, refuse_to_save
from movinet.live.cameras import Camera, read_cameras, told_apart, warnings_about
from movinet.live.command import Command
from movinet.live.event_log import EventLog
from movinet.live.feeds import feed_of, promise_of
from movinet.live.json_lines import as_json
from movinet.live.loop import Feed
from movinet.live.loop import watch as recognize
from movinet.live.recording import Recorders, Recording, options_said
from movinet.live.report import Over, Report, Seen
from movinet.live.view import View, as_line, first_line
from movinet.live.webhook import Webhook
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.runtime.pool import StreamPool
from movinet.video.camera.following import Transport
from movinet.video.locations import Source
from movinet.video.net.login import Address
from movinet.video.net.sources import Limits
from movinet.weights.registry import DEFAULT_MODEL

_REFRESHED, _REFRESHED_MANY, _MANY = 8, 4, 8  # times a second on a terminal; of more sources, a picture costs more
_SIGNALED_WITHIN = 0.2  # seconds after which a terminal that is gone has said so


def watch(
    *sources: str,
    model: Model = None,
    labels: Path | None = None,
    memory: float | None = None,
    on: float | None = None,
    off: float | None = None,
    shortest: float | None = None,
    ignore: Sequence[str] = (),
    on_event: str | None = None,
    webhook: str | None = None,
    log: Path | None = None,
    topk: int = 5,
    duration: Annotated[float | None, Parameter(name="--seconds")] = None,
    loop: bool = False,
    save: Path | None = None,
    record: Path | None = None,
    before: float | None = None,
    after: float | None = None,
    keep_days: float | None = None,
    keep_gb: float | None = None,
    stream: int | None = None,
    credentials: Path | None = None,
    transport: Transport = "tcp",
    timeout: float = 10.0,
    retries: int | None = None,
    max_lag: float = 1.0,
    motion_gate: bool = False,
    hardware: str | None = None,
    allow_hosts: Sequence[str] = (),
    insecure: bool = False,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    offline: bool = False,
    no_cache: bool = False,
    check: bool = False,
    json: bool = False,
) -> int:
    """Watch cameras, network streams or files as they play.

    Args:
        sources: cameras' numbers, rtsp:// or http:// addresses, files, which are played in real time, or a .yaml file
            that lists cameras; what a camera in it leaves open is as these options say.
        model: a name of `movinet models`, or a weights file; a stream network, by default the bundled
            movinet_t0_stream.gestures.
        labels: a file with one label a line, or labels with commas between them, for weights that bring none.
        memory: seconds after which a frame hardly counts any more, 0 for never; by default what the network's
            thresholds were chosen with, or the length of the clips it was made for.
        on: probability at which an event begins, in place of what the network's weights say.
        off: probability below which it ends.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events, beside the network's background.
        on_event: a command that is run when an event begins and when it ends, without a shell: the event is JSON on its
            standard input, and in MOVINET_TYPE, MOVINET_SOURCE, MOVINET_LABEL and others of its environment.
        webhook: an address that events, and what becomes of the sources, are posted to as JSON.
        log: a file that every event, and what becomes of the sources, is added to, as JSON, a line each.
        topk: how many labels to show.
        duration: stop after so many seconds of the source, or of the clock where it shows nothing.
        loop: begin again at the end of a file.
        save: a video file to write what was seen to, with labels and events drawn into it; of one source.
        record: a folder for clips around events, as the camera sent them, with a .json beside each.
        before: seconds of a clip before its event; 5 by default.
        after: seconds of a clip after its event; 5 by default.
        keep_days: after which clips are deleted; never by default.
        keep_gb: gigabytes that clips may take, 10 by default; the oldest are deleted.
        stream: of sources with several video tracks, the one with this number, as ffprobe counts them; by default the
            one that moves.
        credentials: a YAML file with users and passwords, by the names or hosts of cameras.
        transport: how an RTSP server is asked to send: tcp, udp, or http.
        timeout: seconds an address may show no picture before it counts as lost.
        retries: failed attempts in a row after which a lost source is given up; never by default.
        max_lag: seconds a source may lag behind before pictures are left out to catch up.
        motion_gate: spare the network while nothing moves: its last answer holds.
        hardware: decode on it: auto takes what there is; or the name of one kind, such as cuda or vaapi.
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
        check: only say what would be watched and how, and whether files, networks and labels are there.
        json: one JSON object a line for everything that happens, for programs.
    """
    at_least_one("--topk", topk)
    for name, value in (("--on", on), ("--off", off)):
        if value is not None and not 0 < value <= 1:
            raise MovinetError(f"{name} is a probability above 0 and at most 1, got {value}")
    if on is not None and off is not None and off >= on:
        raise MovinetError(f"--off must lie between 0 and --on, got {off} and {on}")
    for name, value in (("--memory", memory), ("--shortest", shortest), ("--seconds", duration)):
        seconds(name, value)
    for name, value in (("--timeout", timeout), ("--max-lag", max_lag)):
        if not 0 < value < inf:
            raise MovinetError(f"{name} must be positive, got {value}")
    if retries is not None and retries < 0:
        raise MovinetError(f"--retries must be at least 0, got {retries}")
    mode, limits = mode_of(precision, fast), Limits(tuple(allow_hosts), verify=not insecure)
    defaults = {
        "model": model or DEFAULT_MODEL,
        "labels": None if labels is None else str(labels),
        "memory": memory,
        "on": on,
        "off": off,
        "shortest": shortest,
        "ignore": tuple(ignore),
        "on_event": on_event,
        "webhook": webhook,
        "loop": loop,
        "stream": stream,
        "transport": transport,
        "timeout": timeout,
        "retries": retries,
        "max_lag": max_lag,
        "motion_gate": motion_gate,
        "hardware": hardware,
    }
    clips = {"folder": record, "before": before, "after": after, "days": keep_days, "gigabytes": keep_gb}
    recording = Recording(**said) if (said := options_said(clips)) else None
    cameras = _cameras(sources, defaults)
    if save is not None:
        refuse_to_save(save, len(cameras))
    origins = _origins(cameras, credentials)
    actions = _actions(cameras, limits)
    if check:
        return show_cameras(cameras, origins, json)
    counts: dict[tuple[str, str | None], int] = {}
    for camera in cameras:
        counts[_model(camera)] = counts.get(_model(camera), 0) + 1
    with ExitStack() as kept:
        pools: dict[tuple[str, str | None], StreamPool] = {}
        for wanted, count in counts.items():
            pool = load_pool(*wanted, offline, engine, mode, device, threads, not no_cache, count)
            pools[wanted] = kept.enter_context(pool)
            if model is None and wanted[0] == DEFAULT_MODEL:
                tell_default(pool.info)
        on_terminal = out.is_terminal and err.is_terminal and not json
        faults = None if on_terminal else kept.enter_context(_faults())
        recorders = Recorders([c.shown for c in cameras if c.record is not False], recording)
        feeds = [
            feed_of(camera, origin, pools[_model(camera)], limits, recorders.packets(camera.shown))
            for camera, origin in zip(cameras, origins, strict=True)
        ]
        promises = (promise_of(camera, pools[_model(camera)]) for camera in cameras)
        for words in dict.fromkeys(words for words in promises if words is not None):
            warn(words)
        names = ", ".join(pool.info.name for pool in pools.values())
        # Last in, first out: sources and their pools go when everything has been told.
        told = [kept.enter_context(Actions(actions)).tell, kept.enter_context(recorders).tell]
        if log is not None:
            told.append(kept.enter_context(EventLog(log)).tell)
        drawn = None
        if save is not None:
            feeds = [replace(feed, hands_on=True) for feed in feeds]
            drawn = kept.enter_context(AnnotatedVideo(save, feeds[0].pool.info.transform.fps))
        view = View([feed.name for feed in feeds], names, topk)
        output = _on_terminal(view) if faults is None else _as_lines(view, topk if json else None, faults)
        return _watch(feeds, duration, told, drawn, output)


def _cameras(sources: Sequence[str], defaults: Mapping[str, Any]) -> tuple[Camera, ...]:
    """Those of the command line and of files, each with a name of its own and nothing left open."""
    if not sources:
        raise MovinetError(
            "give a camera's number, an address, a file, or a .yaml file of cameras (`movinet watch --help` shows "
            "examples)"
        )
    if len(set(sources)) < len(sources):
        raise MovinetError("a source is given twice; each can be watched once")
    cameras: list[Camera] = []
    with_login = False
    for source in sources:
        if "://" not in source and Path(source).suffix in (".yaml", ".yml"):
            listed = read_cameras(source)
            for words in warnings_about(source, listed):
                warn(words)
            cameras += listed
        else:
            cameras.append(Camera(address=source))
            with_login |= "://" in source and Address.of(source).login is not None
    if with_login:
        warn(
            "a password in an address is seen by whoever lists this machine's processes; --credentials FILE and "
            "MOVINET_PASSWORD in the environment are not"
        )
    filled = []
    for camera in cameras:
        own_model = camera.model is not None and camera.model != defaults["model"]
        # A file of labels belongs to its model.
        filled.append(camera.filled({**defaults, "labels": None} if own_model else defaults))
    named = told_apart(filled)
    if len({camera.name for camera in named}) < len(named):
        raise MovinetError("two cameras of different files have one name; give each a name of its own")
    return named


def _origins(cameras: Sequence[Camera], path: Path | None) -> list[Source]:
    """What is opened, logins and all."""
    logins = read_logins(path)
    return [camera.source(logins) for camera in cameras]


def _actions(cameras: Sequence[Camera], limits: Limits) -> dict[str, list[Action]]:
    """What is done with the reports of each camera."""
    secrets = frozenset(camera.password_env for camera in cameras if camera.password_env is not None)
    actions: dict[str, list[Action]] = {}
    for camera in cameras:
        mine = actions[camera.shown] = []
        if camera.on_event is not None:
            mine.append(Command.of(camera.on_event, secrets))
        if camera.webhook is not None:
            mine.append(Webhook.of(camera.webhook, limits))
    return actions


def _model(camera: Camera) -> tuple[str, str | None]:
    assert camera.model is not None
    return camera.model, camera.labels


def _watch(
    feeds: Sequence[Feed],
    duration: float | None,
    told: Sequence[Callable[[Report], None]],
    drawn: AnnotatedVideo | None,
    output: "_Output",
) -> int:
    """Recognize, and tell whoever wants to know, to the end."""
    failed = 0
    with ExitStack() as kept:
        stopping = kept.enter_context(until_stopped())
        show, complain_of = kept.enter_context(output)
        for report in kept.enter_context(closing(recognize(feeds, duration, stopping.event))):
            for tell in told:
                tell(report)
            if drawn is not None and isinstance(report.what, Seen) and report.what.frame is not None:
                drawn.show(report.what.frame, report.what.prediction, report.what.running)
            try:
                show(report)
                if isinstance(report.what, Over) and report.what.error is not None:
                    failed += 1
                    said = str(report.what.error)
                    complain_of(MovinetError(said if said.startswith(report.source) else f"{report.source}: {said}"))
            except OSError:  # a terminal that is gone ends it in order, as its signal asks
                if not stopping.event.wait(_SIGNALED_WITHIN):
                    raise
    stopping.leave()
    return 2 if failed else 0


_Shown = tuple[Callable[[Report], None], Callable[[MovinetError], None]]  # shows a report; complains
_Output = AbstractContextManager[_Shown]


@contextmanager
def _on_terminal(view: View) -> Iterator[_Shown]:
    """A picture that is renewed, on stderr, where warnings are: they appear above it."""
    from rich.live import Live

    often = _REFRESHED if len(view.sources) <= _MANY else _REFRESHED_MANY
    with Live(view, console=err, refresh_per_second=often):
        yield view.take, complain


@contextmanager
def _faults() -> Iterator[LineWriter]:
    """Faults, and what is warned of, on stderr. Nothing waits for whoever reads it, to the very end."""
    faults = LineWriter(sys.stderr, "standard error", lambda message: None)
    try:
        with faults, warnings_told(lambda message: faults.put(as_printed(lambda: warn(message)))):
            yield faults
    finally:
        if faults.unread or faults.failed:
            print_nowhere(sys.stderr)  # for what is still to be said


@contextmanager
def _as_lines(view: View, topk: int | None, faults: LineWriter) -> Iterator[_Shown]:
    """Lines on stdout, JSON where `topk` is given. Nothing waits for whoever reads them."""

    def show(report: Report) -> None:
        line = as_line(report) if topk is None else dump_json(as_json(report, topk))
        if line is not None:
            lines.put(line)
        if lines.failed is not None:
            raise lines.failed

    with LineWriter(
        sys.stdout, "standard output", lambda message: faults.put(as_printed(lambda: warn(message)))
    ) as lines:
        if topk is None:
            lines.put(first_line(view.sources, view.model, time.time()))
        yield show, lambda error: faults.put(as_printed(lambda: complain(error)))
        lines.close()
        if lines.failed is not None:
            raise lines.failed
