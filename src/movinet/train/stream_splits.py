"""Which of the labeled long videos are trained on, looked at after every epoch, and gone through at the end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from movinet.data.stream_places import StreamVideo
from movinet.errors import MovinetError, VideoError
from movinet.evaluate.labeled_streams import LabeledStream, read_streams, refuse_beyond_end
from movinet.labeled.entries import ALL
from movinet.rows import malformed, read_table
from movinet.train.recipe_data import Streams
from movinet.train.splits import uses_of_splits
from movinet.video.decode import duration
from movinet.words import counted

_FEW = 4  # videos; of fewer, the end of each is held out
_LATE = 1.0  # seconds that a segment may end after its video
BACKGROUND = "background"
"""The label of the time in which nothing happens, where lists have no `other`."""


@dataclass(frozen=True)
class StreamSplits:
    """Long videos by what they are for.

    Attributes:
        train: Never empty.
        validation, test: Empty where there are none.
        labels: The classes, in the order of a network's outputs.
        background: The label of the time in which nothing happens.
        moments: (index of a video to train on, seconds) that are to be seen more often.
        warnings: What a user should know of them, in words.
    """

    train: tuple[StreamVideo, ...]
    validation: tuple[StreamVideo, ...]
    test: tuple[StreamVideo, ...]
    labels: tuple[str, ...]
    background: str
    moments: tuple[tuple[int, float], ...] = ()
    warnings: tuple[str, ...] = ()


def read_stream_splits(data: Streams, seed: int = 0) -> StreamSplits:
    """The videos of some lists, split.

    Args:
        data: Lists, and what is said of them.
        seed: Of the choice of what is held out.

    Raises:
        MovinetError: A list cannot be read or contradicts itself or the videos, or there is nothing to learn.
    """
    by_split = _by_split(data)
    uses = uses_of_splits(list(by_split), data)
    parts = {use: [stream for name in names for stream in by_split[name]] for use, names in uses.items()}
    if not parts["train"]:
        raise MovinetError(f"no videos to train on: there are the splits {', '.join(by_split)}")
    for stream in (stream for part in parts.values() for stream in part):
        _refuse_overlaps(stream)
    shown = {segment.label for stream in parts["train"] for segment in stream.segments}
    background = data.background or ("other" if "other" in shown else BACKGROUND)
    labels = tuple(sorted(shown | {background}))
    if not shown - {background}:
        raise MovinetError(
            f"nothing happens in the videos to train on, but for {background}: there is nothing to learn"
        )
    for use in ("validation", "test"):
        if unknown := sorted({s.label for stream in parts[use] for s in stream.segments} - set(labels)):
            raise MovinetError(
                f"{unknown[0]} happens in the videos for {use} and in none to train on; they show {', '.join(labels)}"
            )
    warnings: list[str] = []
    train, validation, test = (tuple(_timed(parts[use], labels, warnings)) for use in ("train", "validation", "test"))
    if not train:
        raise MovinetError("no video to train on can be read")
    if not validation and data.held_out:
        train, validation = _held_out(train, data.held_out, seed)
    warnings += _warned(train, validation, labels, background)
    moments = _moments(Path(data.mined), data.videos, train) if data.mined else ()
    return StreamSplits(train, validation, test, labels, background, moments, tuple(warnings))


def _by_split(data: Streams) -> dict[str, list[LabeledStream]]:
    found: dict[str, list[LabeledStream]] = defaultdict(list)
    seen: set[Path] = set()
    for path in map(Path, data.paths):
        for stream in read_streams(path, Path(data.videos) if data.videos else None):
            if (video := stream.video.resolve()) in seen:
                raise MovinetError(f"{path}: {stream.video} is in two lists; put all that happens in it into one")
            seen.add(video)
            found[stream.split or (path.stem if len(data.paths) > 1 else ALL)].append(stream)
    return found


def _refuse_overlaps(stream: LabeledStream) -> None:
    for one, other in pairwise(stream.segments):
        if other.start < one.end:
            raise MovinetError(
                f"{stream.video}: {other.label} from {other.start:g} to {other.end:g} s overlaps {one.label} from "
                f"{one.start:g} to {one.end:g} s: every moment has one label; shorten one of them"
            )


def _timed(streams: Iterable[LabeledStream], labels: Sequence[str], warnings: list[str]) -> Iterable[StreamVideo]:
    """With how long the videos last; those that cannot be read are left out, and warned of."""
    for stream in streams:
        try:
            seconds = duration(stream.video)
        except VideoError as error:
            warnings.append(f"left out: {error}")
            continue
        refuse_beyond_end(stream, seconds)
        if late := next((s for s in stream.segments if s.end > seconds + _LATE), None):
            raise MovinetError(
                f"{stream.video}: {late.label} is said to end at {late.end:g} s, but the video lasts {seconds:.2f} s"
            )
        segments = tuple((labels.index(s.label), s.start, min(s.end, seconds)) for s in stream.segments)
        yield StreamVideo(stream.video, 0.0, seconds, segments)


def _held_out(
    videos: tuple[StreamVideo, ...], share: float, seed: int
) -> tuple[tuple[StreamVideo, ...], tuple[StreamVideo, ...]]:
    """To train on and to validate with."""
    if len(videos) < _FEW:
        cuts = [_cut(video, share) for video in videos]
        pairs = [(replace(v, end=cut), replace(v, start=cut)) for v, cut in zip(videos, cuts, strict=True)]
        return tuple(before for before, _ in pairs), tuple(after for _, after in pairs if after.seconds > 0)
    wanted, out = share * sum(video.seconds for video in videos), set[int]()
    for index in np.random.default_rng(seed).permutation(len(videos)).tolist():
        if sum(videos[n].seconds for n in out) < wanted and len(out) < len(videos) - 1:
            out.add(index)
    return (
        tuple(video for index, video in enumerate(videos) if index not in out),
        tuple(video for index, video in enumerate(videos) if index in out),
    )


def _cut(video: StreamVideo, share: float) -> float:
    """Where the held-out end of a video begins: in no segment."""
    cut = video.end - share * video.seconds
    inside = [start for _, start, end in video.segments if start < cut < end]
    return max(video.start, inside[0] if inside else cut)


def _warned(
    train: Sequence[StreamVideo], validation: Sequence[StreamVideo], labels: Sequence[str], background: str
) -> Iterable[str]:
    none = labels.index(background)
    for use, videos in (("to train on", train), ("for validation", validation)):
        busy = sum(end - start for video in videos for label, start, end in video.segments if label != none)
        if videos and sum(video.seconds for video in videos) - busy < 1:
            yield (
                f"something happens all the time in the videos {use}: no false-alarm rate can be promised; list videos "
                "in which nothing happens, too (a row with the file alone)"
            )
    seen = {label for video in train for label, start, _ in video.segments if video.start <= start < video.end}
    if lacking := [labels[label] for label in range(len(labels)) if label not in seen | {none}]:
        yield f"nothing to train on, so never to be recognized: {', '.join(lacking)}"
    if not validation:
        yield "there is no validation: whether it gets better, nobody will know"
        return
    shown = {label for v in validation for label, start, _ in v.segments if v.start <= start < v.end}
    if lacking := [labels[label] for label in sorted(seen - shown - {none})]:
        yield f"nothing held out for validation: {', '.join(lacking)}"


def _moments(path: Path, videos: str | None, train: Sequence[StreamVideo]) -> tuple[tuple[int, float], ...]:
    """Of a list with the columns file and start; what lies in other videos is left out."""
    columns, rows = read_table(path)
    if missing := [name for name in ("file", "start") if name not in columns]:
        raise malformed(path, "line 1", f"no column {missing[0]}; want file, start")
    index = {video.path.resolve(): n for n, video in enumerate(train)}
    names = {video.path.name: n for n, video in enumerate(train)}
    found = []
    for where, row in rows:
        try:
            seconds = float(row["start"])
        except ValueError:
            raise malformed(path, where, f"start must be seconds, not {row['start']!r:.40}") from None
        whole = (Path(videos) if videos else path.parent) / row["file"]
        video = index.get(whole.resolve(), names.get(Path(row["file"]).name))
        if video is not None and train[video].start <= seconds < train[video].end:
            found.append((video, seconds))
    if not found:
        raise MovinetError(f"{path}: {counted(len(index), 'video')} to train on, and no moment in any of them")
    return tuple(found)
