"""`movinet evaluate --protocol events`: false alarms an hour against misses."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from movinet.cli.console import complain, out, print_json, progress_bar, warn
from movinet.errors import MovinetError
from movinet.evaluate.event_curve import EventCurve, StreamScores, event_curve
from movinet.evaluate.event_figures import EventFigures, event_figures
from movinet.evaluate.labeled_streams import LabeledStream, refuse_beyond_end, refuse_unknown_labels
from movinet.recognizer import Recognizer
from movinet.runtime.engine import clip_memory
from movinet.words import counted

_CURVE = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)  # false alarms an hour that are shown


def evaluate_events(
    recognizer: Recognizer,
    listed: Sequence[LabeledStream],
    path: Path,
    *,
    target: float,
    off_share: float,
    after: float,
    background: frozenset[str],
    memory: float | None,
    as_json: bool,
) -> int:
    """Print the curve and the operating point; the options are those of `movinet evaluate`."""
    if memory is None:
        recognizer.memory = clip_memory(recognizer.engine, recognizer.info.spec)
    refuse_unknown_labels(listed, recognizer.info.labels, background, recognizer.info.name)
    scores, failed = _scores(recognizer, listed)
    if not scores:
        raise MovinetError(f"{path}: none of its {counted(len(listed), 'video')} could be read")
    curve = event_curve(scores, off_share=off_share, after=after, background=background)
    on = min(1.0, max(curve.lowest_on(target), 1e-6))
    point = event_figures(scores, recognizer.info, on, on * off_share * (1 - 1e-9), after=after, background=background)
    if as_json:
        shown = {str(rate): curve.at(curve.lowest_on(rate))[1] for rate in _CURVE}
        print_json({"model": recognizer.info.name, **asdict(point), "missed_at_false_alarms_an_hour": shown})
    else:
        _print(recognizer, curve, point)
    if not any(not stream.truth for stream in scores) and point.hours < 1:
        warn("less than an hour, and every video has events: too little to promise a rate of false alarms")
    return 2 if failed else 0


def _scores(recognizer: Recognizer, listed: Sequence[LabeledStream]) -> tuple[list[StreamScores], int]:
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


def _print(recognizer: Recognizer, curve: EventCurve, point: EventFigures) -> None:
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
