"""`movinet evaluate --protocol events`: false alarms an hour against misses, and thresholds for `movinet watch`."""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.text import Text

from movinet.cli.console import complain, out, print_json, progress_bar, warn
from movinet.deploy.read_manifest import is_exported, read_manifest
from movinet.errors import MovinetError
from movinet.evaluate.choose_point import Choice, choose_point
from movinet.evaluate.event_curve import StreamScores, hours_of_nothing
from movinet.evaluate.event_figures import EventFigures, event_figures, false_alarms
from movinet.evaluate.first_frames import warm_up_of
from movinet.evaluate.labeled_streams import LabeledStream, refuse_beyond_end, refuse_unknown_labels
from movinet.events import Event
from movinet.export.write_manifest import set_operating_point
from movinet.files import write_atomically
from movinet.recognizer import Recognizer
from movinet.runtime.engine import live_memory
from movinet.runtime.exported import precision_of
from movinet.video.decode import read_frames
from movinet.weights.info import WeightsInfo
from movinet.weights.load import RUN_WEIGHTS, load_weights
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.registry import is_on_hub, lookup
from movinet.weights.safetensors_file import read_info, replace_info
from movinet.words import counted

_CURVE = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)  # false alarms an hour that are shown
_STILLS = 40  # first pictures of streams that are held still
_LEAST_NOTHING = 1 / 60  # hours without events, of which a rate of false alarms can be told at all


@dataclass(frozen=True)
class Judged:
    """What was found."""

    choice: Choice
    figures: EventFigures
    info: WeightsInfo  # with the operating point, and with the background
    failed: int  # videos that could not be read
    alarms: tuple[tuple[Path, Event], ...]  # false ones, with the video


def evaluate_events(
    recognizer: Recognizer,
    listed: Sequence[LabeledStream],
    path: Path,
    *,
    model: str,
    target: float,
    off_share: float | None,
    after: float,
    background: frozenset[str] | None,
    memory: float | None,
    save: bool,
    exported: Sequence[Path],
    alarms: Path | None,
    as_json: bool,
) -> int:
    """Print the curve and the operating point, and write it where it is wanted; the options are those of `movinet
    evaluate`.

    Args:
        recognizer: of the network.
        listed: from `path`.
        path: of the list.
        model: that was given.
        background: labels that are no events; None: what the weights say, or `other`.
        save: into the file or folder of the model.
        exported: folders that it is written into, too.
        alarms: a list to write the false alarms into.

    Raises:
        MovinetError: it cannot be written there, nothing can be read, or something happens that the network has no
            label for.
    """
    places = [*([place_of(model)] if save else []), *map(place_of, exported)]
    if alarms is not None and not alarms.parent.is_dir():
        raise MovinetError(f"--alarms {alarms}: want a file in a folder that is there")
    for place in places:
        refuse_other_weights(place, recognizer.network.hash)
    judged = judge_events(
        recognizer,
        listed,
        path,
        target=target,
        off_share=off_share,
        after=after,
        background=background,
        memory=memory,
    )
    print_events(judged, target, as_json)  # first: what cannot be written is no reason to have seen it all for nothing
    for place in places:
        write_point(place, judged.info)
    if alarms is not None:
        _write_alarms(alarms, judged.alarms)
    if places and not as_json:
        out.print(f"\nwritten into {', '.join(map(str, places))}")
    return 2 if judged.failed else 0


def judge_events(
    recognizer: Recognizer,
    listed: Sequence[LabeledStream],
    path: Path,
    *,
    target: float,
    off_share: float | None,
    after: float,
    background: frozenset[str] | None,
    memory: float | None,
) -> Judged:
    """Recognize streams as `movinet watch` does, and choose thresholds; the options are those of `movinet evaluate`.

    Raises:
        MovinetError: nothing can be read, or something happens that the network has no label for.
    """
    info = recognizer.info
    recognizer.memory = live_memory(recognizer.engine, info, memory)
    ignored = background_of(info) if background is None else background
    refuse_unknown_labels(listed, info.labels, ignored, info.name)
    scores, read, failed = _scores(recognizer, listed)
    if not scores:
        raise MovinetError(f"{path}: none of its {counted(len(listed), 'video')} could be read")
    choice = choose_point(scores, target, fps=info.transform.fps, after=after, background=ignored, off_share=off_share)
    point = choice.point
    point = replace(point, warm_up=warm_up_of(list(_stills(recognizer, listed)), _labels(info), point))
    figures = event_figures(scores, info, point, after=after)
    seconds = recognizer.memory
    point = replace(
        point,
        memory=None if seconds is None or seconds == float("inf") else seconds,
        precision=precision_of(recognizer.network, recognizer.engine),
        size=info.transform.size,
        data=path.name,
        data_sha256=hash_of(path, listed),
        hours=figures.hours,
        there=figures.there,
        false_alarms=figures.false_alarms_an_hour if hours_of_nothing(scores, after) >= _LEAST_NOTHING else None,
        missed=figures.missed,
        delay=figures.delay,
    )
    known = info.background
    if known is None and len(ignored) == 1 and ignored <= set(info.labels or ()):
        (known,) = ignored
    alarms = [
        (stream.video, alarm)
        for stream, said in zip(read, scores, strict=True)
        for alarm in false_alarms(said, info, point, after=after)
    ]
    return Judged(choice, figures, replace(info, background=known, operating_point=point), failed, tuple(alarms))


def _write_alarms(path: Path, alarms: Sequence[tuple[Path, Event]]) -> None:
    """As a list: the video, the label and when the event began and ended."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "label", "start", "end"))
    for video, event in alarms:
        end = "" if event.end is None else f"{event.end:.3f}"
        writer.writerow((video.absolute(), event.label, f"{event.start:.3f}", end))
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))


def background_of(info: WeightsInfo) -> frozenset[str]:
    """What is no event: what the weights say, or a label called `other`."""
    if info.background is not None:
        return frozenset({info.background})
    return frozenset({"other"} & set(info.labels or ()))


def print_events(judged: Judged, target: float, as_json: bool) -> None:
    """Print the curve and the operating point, and what they do not promise."""
    info, figures = judged.info, judged.figures
    point = info.operating_point
    assert point is not None
    if as_json:
        curve = judged.choice.curve
        shown = {str(rate): curve.at(curve.lowest_on(rate))[1] for rate in _CURVE}
        about = {"model": info.name, **asdict(figures), "operating_point": point.to_dict()}
        print_json({**about, "missed_at_false_alarms_an_hour": shown})
    else:
        _print(judged, point)
    if point.false_alarms is None:
        warn("something always happens in these streams: no rate of false alarms can be promised")
    elif (worst := figures.false_alarms_an_hour.high) > 2 * max(target, 1e-9):
        warn(
            f"{figures.hours:.2f} hours are too little to promise {target:g} false alarms an hour: it may be "
            f"{worst:{'.0f' if worst >= 10 else '.2g'}}"
        )


def hash_of(path: Path, listed: Sequence[LabeledStream]) -> str:
    """SHA-256 of a list and of its videos, those that can be read."""
    whole = hashlib.sha256(path.read_bytes())
    for stream in listed:
        if stream.video.is_file():
            with stream.video.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def place_of(model: str | Path) -> Path:
    """The file of weights, or the exported folder, that a model's name is the path of, or of the run or model in it.

    Raises:
        MovinetError: it is something else.
    """
    path = Path(model)
    if isinstance(model, Path) or (lookup(model) is None and not is_on_hub(model)):
        if is_exported(path):
            return path
        if (path / RUN_WEIGHTS).is_file():
            path /= RUN_WEIGHTS
        if path.is_file() and path.suffix == ".safetensors":
            return path
        if path.is_file() and is_exported(path.parent):
            return path.parent
    raise MovinetError(
        f"thresholds are written into a .safetensors file of ours or an exported folder, and {model} is neither: "
        f"`movinet convert {model} mine.safetensors` makes one"
    )


def refuse_other_weights(place: Path, wanted: str) -> None:
    """Raises MovinetError where a file or exported folder is of other weights than those that are judged."""
    found = read_manifest(place).hash if is_exported(place) else load_weights(place).hash
    if found != wanted:
        raise MovinetError(f"{place}: is of other weights than the model that is judged")


def write_point(place: Path, info: WeightsInfo) -> None:
    """Write thresholds and background into a file of weights or an exported folder; all else there stays.

    Raises:
        MovinetError: it cannot be written, or is an exported ensemble.
    """
    if is_exported(place):
        set_operating_point(place, info)
    else:
        there = read_info(place)
        labels = there.labels or info.labels
        replace_info(
            place, replace(there, labels=labels, background=info.background, operating_point=info.operating_point)
        )


def _scores(
    recognizer: Recognizer, listed: Sequence[LabeledStream]
) -> tuple[list[StreamScores], list[LabeledStream], int]:
    """What the network says of every video that can be read, those videos, and how many cannot."""
    scores, read, failed, period = [], list[LabeledStream](), 0, 1 / recognizer.info.transform.fps
    labels = _labels(recognizer.info)
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
            read.append(stream)
            scores.append(StreamScores(times, probabilities, labels, stream.segments, lasts))
            if progress:
                progress(n + 1, len(listed))
    return scores, read, failed


def _stills(recognizer: Recognizer, listed: Sequence[LabeledStream]) -> Iterator[tuple[list[float], list[list[float]]]]:
    """What the network says of first pictures of streams, held still for as long as its clips are."""
    info, count = recognizer.info, recognizer.info.spec.frames
    quiet = [stream for stream in listed if not stream.segments or stream.segments[0].start > 0]
    step = max(1, len(quiet) // _STILLS)
    for stream in quiet[::step][:_STILLS]:
        try:
            first = next(iter(read_frames(stream.video, info.transform.fps, 0.0, 1 / info.transform.fps)), None)
        except MovinetError:
            continue  # it was told
        if first is None:
            continue
        session = recognizer.session()
        times = [n / info.transform.fps for n in range(count)]
        answers = [session.push(first, time) for time in times]
        yield times, [answer.probabilities.tolist() for answer in answers if answer is not None]


def _labels(info: WeightsInfo) -> tuple[str, ...]:
    return tuple(info.label(n) for n in range(info.spec.num_classes))


def _print(judged: Judged, point: OperatingPoint) -> None:
    info, curve, figures = judged.info, judged.choice.curve, judged.figures
    alarms, missed = figures.false_alarms_an_hour, figures.missed
    out.print(Text.assemble((info.name, "bold"), f"  {figures.hours:.2f} hours, {counted(figures.there, 'event')}"))
    memory = "never forgetting" if point.memory is None else f"memory of {point.memory:g} s"
    out.print(f"  {memory}, {point.precision}, {point.fps:g} frames a second", style="dim")
    out.print(f"  begins at {point.on:.4f}, ends below {point.off:.4f}")
    if point.shortest or point.refractory or point.warm_up:
        out.print(
            f"  lasts {point.shortest:g} s at least; a label rests for {point.refractory:g} s after an event; nothing "
            f"begins in the first {point.warm_up:g} s"
        )
    if judged.choice.own:
        out.print(f"  {counted(len(judged.choice.own), 'label')} with thresholds of their own")
    out.print(f"  false alarms an hour  {alarms.value:8.2f}  ({alarms.low:.2f} to {alarms.high:.2f})")
    if missed is not None:
        out.print(f"  missed                {missed.value:8.1%}  ({missed.low:.1%} to {missed.high:.1%})")
    if figures.delay:
        out.print(f"  told after the end    {figures.delay[0]:+8.2f} s, 95th percentile {figures.delay[1]:+.2f} s")
    out.print("\n  false alarms an hour   missed   begins at", style="dim")
    for rate in _CURVE:
        on = curve.lowest_on(rate)
        out.print(f"  {rate:20.1f}  {curve.at(on)[1]:7.1%}   {min(on, 1.0):.4f}")
    out.print("\n  label                  there  found  false   begins at", style="dim")
    for label, numbers in figures.by_label.items():
        on = point.of_label(label)[0]
        out.print(f"  {label:20} {numbers.there:7d}{numbers.found:7d}{numbers.false_alarms:7d}   {on:9.4f}")
