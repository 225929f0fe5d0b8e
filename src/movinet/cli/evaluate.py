"""The command evaluate."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rich.text import Text

from movinet.cli.app import DEFAULT_MODEL, Model, seconds
from movinet.cli.console import complain, out, print_json, progress_bar, warn
from movinet.cli.recognizing import load_recognizer, mode_of, tell_default
from movinet.errors import MovinetError
from movinet.evaluate.event_curve import EventCurve, StreamScores, event_curve
from movinet.evaluate.labeled_streams import LabeledStream, read_streams, refuse_beyond_end, refuse_unknown_labels
from movinet.evaluate.operating_point import OperatingPoint, operating_point
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Precision, clip_memory
from movinet.runtime.factory import EngineKind
from movinet.words import counted

_CURVE = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)  # false alarms an hour that are shown


def evaluate(
    streams: Path,
    *,
    model: Model = None,
    labels: Path | None = None,
    videos: Path | None = None,
    protocol: Literal["events"] = "events",
    target_false_alarms: float = 0.5,
    off_share: float = 0.6,
    after: float = 2.0,
    background: tuple[str, ...] = ("other",),
    memory: float | None = None,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
    threads: int | None = None,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Measure how good the events of a stream network are: false alarms an hour against misses.

    Args:
        streams: a CSV file (file, label, start, end) or JSON as ActivityNet writes it: long videos and what happens
            in them. A row with a file alone is a video in which nothing happens.
        model: a name of `movinet models`, or a weights file; by default the bundled movinet_t0_stream.gestures.
        labels: a file with one label a line, for weights that bring none.
        videos: the folder that names of videos count from; that of the list by default.
        protocol: what is measured: events.
        target_false_alarms: an hour; the operating point is the lowest threshold that keeps to it.
        off_share: the probability below which an event ends, as a share of that at which it begins.
        after: seconds after its end within which something may be found.
        background: labels that are no events.
        memory: seconds after which a frame hardly counts any more, as in `movinet watch`.
        engine: what runs the network: auto takes the quickest that is installed.
        precision: what the engine computes in.
        fast: take the quickest precision this processor has.
        threads: of the processor; one by default.
        offline: never download.
        json: one JSON object, for programs.
    """
    for name, value in (("--target-false-alarms", target_false_alarms), ("--after", after), ("--memory", memory)):
        seconds(name, value)
    if not 0 < off_share <= 1:
        raise MovinetError(f"--off-share must lie between 0 and 1, got {off_share}")
    listed = read_streams(streams, videos)
    recognizer = load_recognizer(
        model or DEFAULT_MODEL, labels, offline, engine, mode_of(precision, fast), "cpu", threads, memory=memory
    )
    if model is None:
        tell_default(recognizer.info)
    if memory is None:
        recognizer.memory = clip_memory(recognizer.engine, recognizer.info.spec)
    ignored = frozenset(background)
    refuse_unknown_labels(listed, recognizer.info.labels, ignored, recognizer.info.name)
    scores, failed = _scores(recognizer, listed)
    if not scores:
        raise MovinetError(f"{streams}: none of its {counted(len(listed), 'video')} could be read")
    curve = event_curve(scores, off_share=off_share, after=after, background=ignored)
    on = min(1.0, max(curve.lowest_on(target_false_alarms), 1e-6))
    point = operating_point(scores, recognizer.info, on, on * off_share * (1 - 1e-9), after=after, background=ignored)
    if json:
        shown = {str(rate): curve.at(curve.lowest_on(rate))[1] for rate in _CURVE}
        print_json({"model": recognizer.info.name, **asdict(point), "missed_at_false_alarms_an_hour": shown})
    else:
        _print(recognizer, curve, point)
    if not any(not stream.truth for stream in scores) and point.hours < 1:
        warn("less than an hour, and every video has events: too little to promise a rate of false alarms")
    return 2 if failed else 0


def _scores(recognizer: Recognizer, listed: list[LabeledStream]) -> tuple[list[StreamScores], int]:
    """What the network says of every video that can be read, and how many cannot."""
    scores, failed, period = [], 0, 1 / recognizer.info.transform.fps
    names = tuple(recognizer.info.label(n) for n in range(recognizer.info.spec.num_classes))
    with progress_bar("evaluating") as progress:
        for n, stream in enumerate(listed):
            try:
                predictions = [(p.time, p.probabilities) for p in recognizer.stream(stream.video)]
                lasts = predictions[-1][0] + period
                refuse_beyond_end(stream, lasts)
            except MovinetError as error:
                failed += 1
                complain(error)
                continue
            times, probabilities = zip(*predictions, strict=True)
            scores.append(StreamScores(times, probabilities, names, stream.segments, lasts))
            if progress:
                progress(n + 1, len(listed))
    return scores, failed


def _print(recognizer: Recognizer, curve: EventCurve, point: OperatingPoint) -> None:
    alarms, missed = point.false_alarms_an_hour, point.missed
    out.print(
        Text.assemble((recognizer.info.name, "bold"), f"  {point.hours:.2f} hours, {counted(point.there, 'event')}")
    )
    out.print(f"  begins at {point.on:.4f}, ends below {point.off:.4f}")
    out.print(f"  false alarms an hour  {alarms.value:8.2f}  ({alarms.low:.2f} to {alarms.high:.2f})")
    if point.there:
        out.print(f"  missed                {missed.value:8.1%}  ({missed.low:.1%} to {missed.high:.1%})")
    if point.delay:
        out.print(f"  delay from the end    {point.delay[0]:+8.2f} s, 95th percentile {point.delay[1]:+.2f} s")
    out.print("\n  false alarms an hour   missed   begins at", style="dim")
    for rate in _CURVE:
        on = curve.lowest_on(rate)
        out.print(f"  {rate:20.1f}  {curve.at(on)[1]:7.1%}   {on:.4f}")
    out.print("\n  label                  there  found  false", style="dim")
    for label, figures in point.by_label.items():
        out.print(f"  {label:20} {figures.there:7d}{figures.found:7d}{figures.false_alarms:7d}")
