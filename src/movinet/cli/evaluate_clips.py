"""`movinet evaluate --protocol clip|multi-clip|stream`: how often what a network says of labeled videos is right."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from rich.text import Text

from movinet.cli.console import bar, complain, err, out, print_json, progress_bar, warn
from movinet.errors import MovinetError
from movinet.evaluate.clip_protocols import SHARES, Protocol, describe
from movinet.evaluate.evaluation_report import Circumstances, as_plain, confusions
from movinet.evaluate.evaluation_run import Outcome, run_evaluation
from movinet.evaluate.footage import Footage, footage_of
from movinet.evaluate.judged import judge
from movinet.evaluate.label_match import LabelMatch, match_labels
from movinet.evaluate.score_figures import Figures, figures_of
from movinet.labeled.entries import ALL, DatasetIndex
from movinet.labeled.readers import read_set
from movinet.profiling import peak_memory
from movinet.recognizer import Recognizer
from movinet.weights.cache_folder import default_cache_dir
from movinet.weights.operating_point import Interval
from movinet.words import counted

_SHOWN = 10  # classes and confusions
_EVERY = 4  # of the shares of a video, one in so many is shown


def evaluate_clips(
    recognizer: Recognizer,
    paths: Sequence[Path],
    protocol: Protocol,
    *,
    gestures: int | None,
    videos: Path | None,
    split: Sequence[str],
    skip_missing: bool,
    skip_unknown: bool,
    folder_fps: float | None,
    results: Path | None,
    report: Path | None,
    memory: float | None,
    as_json: bool,
) -> int:
    """Evaluate and print; the options are those of `movinet evaluate`."""
    begun = perf_counter()
    if report is not None:
        from movinet.evaluate.html_report import check_report, write_report

        check_report(report)
    judged = judge(recognizer)
    footage: Sequence[Footage]
    if gestures is not None:
        footage, listing, data = _rendered(recognizer, gestures), None, f"{counted(gestures, 'synthetic gesture')}"
    else:
        listing = _read(paths, videos, skip_missing)
        footage, data = _listed(listing, paths, split, folder_fps)
    labels = sorted({label for one in footage for label in one.labels})
    if not labels:
        raise MovinetError(f"{data}: no video has a label")
    multi_label = listing is not None and next(iter(listing.splits.values())).multi_label
    match = match_labels(labels, judged, skip_unknown)
    try:
        with progress_bar("evaluating") as progress:
            outcome = run_evaluation(
                judged,
                footage,
                protocol,
                match,
                multi_label=multi_label,
                answers=results,
                scratch=default_cache_dir() / "evaluations",
                also={"memory": memory},
                progress=progress,
                on_error=complain,
            )
    except KeyboardInterrupt:
        err.print("what was answered is kept: the same command goes on from there")
        raise
    figures = figures_of(outcome)
    how = Circumstances(
        command=shlex.join(["movinet", *sys.argv[1:]]),
        data=data,
        found=len(footage),
        missing=len(listing.missing) if listing else 0,
        seconds=perf_counter() - begun,
        peak_memory_mb=peak_memory(),
        notes=tuple(_notes(outcome, figures, match)),
    )
    for note in how.notes:
        warn(note)
    if report is not None:
        write_report(report, outcome, figures, how)
    if as_json:
        print_json(as_plain(outcome, figures, how))
    else:
        _print(outcome, figures, how)
        if report is not None:
            out.print(f"{report}: the same with plots")
    return 2 if outcome.unreadable else 0


def _rendered(recognizer: Recognizer, clips: int) -> Sequence[Footage]:
    from movinet.errors import needs_extra

    with needs_extra("torch"):
        from movinet.data.synthetic.gesture_footage import gesture_footage
    return gesture_footage(recognizer.info.transform, clips)


def _read(paths: Sequence[Path], videos: Path | None, skip_missing: bool) -> DatasetIndex:
    try:
        return read_set(*paths, videos=videos, skip_missing=skip_missing, fewest_classes=1)
    except MovinetError as error:
        from movinet.evaluate.labeled_streams import read_streams

        try:
            read_streams(paths[0], videos)
        except MovinetError:
            raise error from None
        raise MovinetError(f"{error}; if it lists long videos and what happens in them: --protocol events") from None


def _listed(
    listing: DatasetIndex, paths: Sequence[Path], split: Sequence[str], folder_fps: float | None
) -> tuple[Sequence[Footage], str]:
    footage, chosen = footage_of(listing, split, folder_fps)
    data = f"{', '.join(map(str, paths))} ({listing.kind})"
    if list(listing.splits) != [ALL]:
        left = [name for name in listing.splits if name not in chosen]
        data += f", {'split' if len(chosen) == 1 else 'splits'} {', '.join(chosen)}" + (
            f" without {', '.join(left)}" if left else ""
        )
    return footage, data


def _notes(outcome: Outcome, figures: Figures, match: LabelMatch) -> list[str]:
    notes = [match.note] if match.note else []
    if outcome.skipped:
        notes.append(
            f"{counted(outcome.skipped, 'video')} left out: {outcome.judged.name} does not know "
            f"{counted(len(match.unknown), 'label')} of the set, such as {match.unknown[0]!r}"
        )
    if outcome.unreadable:
        notes.append(f"{counted(len(outcome.unreadable), 'video')} could not be read and are left out of all figures")
    if figures.short:
        several = ", so that clips of one resemble each other" if outcome.protocol.kind == "multi-clip" else ""
        own = counted(outcome.judged.clip_frames, "frame")
        held = "their last frame is held"
        if (frames := outcome.protocol.frames or 0) > outcome.judged.clip_frames:
            held = (
                f"they are shown whole, not {frames} frames, and the last is held up to the network's own {own} alone"
            )
        notes.append(f"{figures.short} of {counted(figures.videos, 'video')} are shorter than the protocol's clip: "
                     f"{held}{several}")  # fmt: skip
    if outcome.resumed:
        notes.append(f"{counted(outcome.resumed, 'answer')} of an earlier run, not computed again")
    if outcome.multi_label and not outcome.judged.multi_label:
        notes.append(f"{outcome.judged.name} was trained to name one label; these videos have several")
    return notes


def _print(outcome: Outcome, figures: Figures, how: Circumstances) -> None:
    judged, stream = outcome.judged, figures.stream
    out.print(Text.assemble((judged.name, "bold"), f"  {describe(outcome.protocol, judged)}, {judged.runs_on}"))
    counts = f"{counted(how.found, 'video')} found, {how.missing} missing, {figures.videos} evaluated"
    out.print(f"  {how.data}: {counts}")
    _line("top-1", figures.top1)
    _line("top-5", figures.top5)
    _line("mean average precision", figures.mean_ap)
    if figures.mean_class is not None:
        out.print(f"  {'mean of classes':24} {figures.mean_class:7.1%}")
    out.print(f"  {'calibration error':24} {figures.calibration.error:7.1%}")
    if stream is not None:
        _line("mean of every frame", stream.every)
        _line(f"best prefix ({stream.best_share:.0%} seen)", stream.best)
    macs = "not known" if figures.macs is None else f"{figures.macs / 1e9:,.2f} G"
    views = f" in {outcome.protocol.views} views" if outcome.protocol.views > 1 else ""
    out.print(f"  {'multiply-adds a video':24} {macs}  ({figures.frames:.0f} frames{views})")
    both = f"{figures.decode_ms:.0f} ms decoding, {figures.network_ms:.0f} ms network"
    out.print(f"  {'processor time a video':24} {both}")
    if how.peak_memory_mb:
        out.print(f"  {'peak memory':24} {how.peak_memory_mb:.0f} MB")
    if stream is not None:
        out.print("\n  seen      right", style="dim")
        for share, score in list(zip(SHARES, stream.score, strict=True))[_EVERY - 1 :: _EVERY]:
            out.print(f"  {share:4.0%}  {score.value:9.1%}  {bar(score.value)}")
    _print_classes(outcome, figures)


def _print_classes(outcome: Outcome, figures: Figures) -> None:
    worst = sorted((one for one in figures.by_class if one.score < 1), key=lambda one: one.score)[:_SHOWN]
    if not worst:
        return
    what = "class" if len(worst) == len(figures.by_class) else "hardest classes"
    out.print(f"\n  {what:28} videos  {'AP' if outcome.multi_label else 'right':>6}", style="dim")
    for one in worst:
        taken = f"  taken for {one.taken_for[0]} ({one.taken_for[1]})" if one.taken_for else ""
        out.print(Text.assemble(f"  {one.label:28} {one.videos:6d}  {one.score:6.1%}", (taken, "dim")))
    wrong = confusions(outcome, figures)
    if wrong and len(figures.by_class) > _SHOWN:
        out.print("\n  most often confused", style="dim")
        for pair in wrong[:_SHOWN]:
            out.print(f"  {pair['videos']:6d}  {pair['label']} → {pair['said']}")


def _line(name: str, interval: Interval | None) -> None:
    if interval is not None:
        out.print(f"  {name:24} {interval.value:7.1%}  ({interval.low:.1%} to {interval.high:.1%})")
