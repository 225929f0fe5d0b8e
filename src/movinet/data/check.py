"""Whether a data set can be trained on, and what is wrong with it, before hours are spent on it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from movinet.cores import usable_cores
from movinet.data.inspection import Inspection, full_digest, inspect_video, sample_digest
from movinet.labeled.entries import ALL, VideoEntry, VideoSet
from movinet.video.locations import Member
from movinet.words import counted

_UNBALANCED = 10.0


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Args:
        kind: a word for programs: `unreadable`, `damaged`, `one_frame`, `time_stamps`, `empty_class`, `leak`,
            `duplicate`, `unbalanced`, `too_few_classes`, `similar_names`.
        message: in words.
        items: each video or class concerned, and why.
        fatal: training is impossible.
    """

    kind: str
    message: str
    items: tuple[str, ...] = ()
    fatal: bool = False


@dataclass(frozen=True)
class DatasetReport:
    """What a data set is like.

    Args:
        labels: the classes.
        multi_label: a video may show any number of classes.
        clips: how many of every class in every split: clips[split][label]. Clips that cannot be used are not counted.
        total: how many clips, unusable ones included.
        durations: shortest, median and longest clip in seconds; None where no clip has a duration.
        frames: fewest, median and most in a clip; None where no clip can be used.
        sizes: clips of every (height, width), most frequent first.
        rates: clips of every frame rate, most frequent first, rounded to 0.01; image folders have none.
        problems: the fatal first.
    """

    labels: tuple[str, ...]
    multi_label: bool
    clips: dict[str, dict[str, int]]
    total: int
    durations: tuple[float, float, float] | None
    frames: tuple[int, float, int] | None
    sizes: tuple[tuple[tuple[int, int], int], ...]
    rates: tuple[tuple[float, int], ...]
    problems: tuple[Problem, ...]

    @property
    def fatal(self) -> bool:
        """Training is impossible."""
        return any(problem.fatal for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"fatal": self.fatal}


def check_set(
    sets: VideoSet | Mapping[str, VideoSet],
    progress: Callable[[int, int | None], None] | None = None,
    workers: int | None = None,
) -> DatasetReport:
    """Looks at every clip: all its packets and three of its frames.

    Args:
        sets: by split; a single set is one split.
        progress: called with the number of clips that are done and of all clips.
        workers: threads; one a core by default.
    """
    splits = {ALL: sets} if isinstance(sets, VideoSet) else dict(sets)
    if not splits:
        raise ValueError("no sets to check")
    some = next(iter(splits.values()))
    videos = list(dict.fromkeys(replace(video, labels=()) for part in splits.values() for video in part.videos))
    seen: dict[VideoEntry, Inspection] = {}
    with ThreadPoolExecutor(workers or usable_cores()) as pool:  # decoding lets go of Python's lock
        jobs = {pool.submit(inspect_video, video): video for video in videos}
        try:
            for job in as_completed(jobs):
                seen[jobs[job]] = job.result()
                if progress:
                    progress(len(seen), len(videos))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        copies = _copies(pool, {video.path for video in videos})

    usable = {video: found for video, found in seen.items() if not found.error}
    counts = {name: _count(part, usable) for name, part in splits.items()}
    problems = [
        *_too_few(splits, counts, some.multi_label),
        *_by_clip(seen),
        *_empty(counts),
        *_similar_names(some.labels),
        *_leaks(splits, copies),
        *_unbalanced(counts, some.multi_label),
    ]
    seconds = sorted(found.duration for found in usable.values() if found.duration is not None)
    frames = sorted(found.frames for found in usable.values())
    return DatasetReport(
        labels=some.labels,
        multi_label=some.multi_label,
        clips=counts,
        total=sum(len(part.videos) for part in splits.values()),
        durations=(seconds[0], median(seconds), seconds[-1]) if seconds else None,
        frames=(frames[0], median(frames), frames[-1]) if frames else None,
        sizes=tuple(Counter(found.size for found in usable.values() if found.size).most_common()),
        rates=tuple(Counter(round(found.fps, 2) for found in usable.values() if found.fps).most_common()),
        problems=tuple(problems),
    )


def _count(part: VideoSet, usable: Mapping[VideoEntry, Inspection]) -> dict[str, int]:
    counts = dict.fromkeys(part.labels, 0)
    for video in part.videos:
        if replace(video, labels=()) in usable:
            for label in video.labels:
                counts[label] += 1
    return counts


def _too_few(
    splits: Mapping[str, VideoSet], counts: Mapping[str, Mapping[str, int]], multi_label: bool
) -> Iterable[Problem]:
    """Of which training cannot come, whatever is done with the rest."""
    for name, count in counts.items():
        if not any(count.values()) and splits[name].videos:
            yield Problem("too_few_classes", f"{_of(name)}no clip can be used", fatal=True)
    training = [count for name, count in counts.items() if name.startswith("train")] or list(counts.values())
    present = sorted({label for count in training for label, clips in count.items() if clips})
    if len(present) == 1 and not multi_label:
        yield Problem("too_few_classes", f"only one class has clips to train on: {present[0]}", fatal=True)


def _by_clip(seen: Mapping[VideoEntry, Inspection]) -> Iterable[Problem]:
    for kind, message, why in (
        ("unreadable", "clips that cannot be used", lambda found: found.error),
        ("damaged", "clips that are damaged in parts", lambda found: found.damage),
        ("one_frame", "clips of a single frame", lambda found: f"{found.frames} frame" if found.frames == 1 else ""),
        ("time_stamps", "clips with odd time stamps", lambda found: "; ".join(found.oddities)),
    ):
        items = tuple(f"{_name(video)}: {reason}" for video, found in seen.items() if (reason := why(found)))
        if items:
            yield Problem(kind, f"{message}: {len(items)}", tuple(sorted(items)))


def _empty(counts: Mapping[str, Mapping[str, int]]) -> Iterable[Problem]:
    for name, count in counts.items():
        if (empty := tuple(label for label, clips in count.items() if not clips)) and len(empty) < len(count):
            yield Problem("empty_class", f"{_of(name)}classes without a clip that can be used: {len(empty)}", empty)


def _similar_names(labels: Iterable[str]) -> Iterable[Problem]:
    """Classes that are one to a reader, and perhaps to whoever labeled the clips."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[" ".join(label.casefold().split())].append(label)
    items = tuple(" = ".join(map(repr, group)) for group in alike.values() if len(group) > 1)
    if items:
        message = f"classes whose names differ only in case or spaces: {len(items)}; are they one? give them one name"
        yield Problem("similar_names", message, items)


def _leaks(splits: Mapping[str, VideoSet], copies: Mapping[Path | Member, Path | Member]) -> Iterable[Problem]:
    """Files in several splits, under one name or several, and copies within a split."""
    where: dict[Path | Member, dict[str, dict[Path | Member, None]]] = defaultdict(lambda: defaultdict(dict))
    for name, part in splits.items():
        for video in part.videos:
            where[copies[video.path]][name].setdefault(video.path)
    leaks, twice = [], []
    for parts in where.values():
        if len(parts) > 1:
            leaks.append(" = ".join(f"{name} {path}" for name, paths in parts.items() for path in paths))
        twice += [" = ".join(map(str, paths)) for paths in parts.values() if len(paths) > 1]
    if leaks:
        yield Problem(
            "leak", f"videos in several splits, which makes results look too good: {len(leaks)}", tuple(leaks)
        )
    if twice:
        yield Problem("duplicate", f"videos that are there more than once in a split: {len(twice)}", tuple(twice))


def _unbalanced(counts: Mapping[str, Mapping[str, int]], multi_label: bool) -> Iterable[Problem]:
    total: Counter[str] = Counter()
    for count in counts.values():
        total.update(count)
    present = [(clips, label) for label, clips in total.items() if clips]
    if len(present) < 2 or multi_label:
        return
    (least, rare), (most, common) = min(present), max(present)
    if most > _UNBALANCED * least:
        message = f"classes are unbalanced: {counted(most, 'clip')} of {common}, {least} of {rare}; weigh the classes"
        yield Problem("unbalanced", message)


def _copies(pool: ThreadPoolExecutor, paths: set[Path | Member]) -> dict[Path | Member, Path | Member]:
    """Every path with the first, in order, of those that hold the same bytes."""
    ordered = sorted(paths, key=str)
    sampled = _alike(ordered, pool.map(_digest(sample_digest), ordered))
    suspects = [path for group in sampled for path in group if len(group) > 1]
    groups = _alike(suspects, pool.map(_digest(full_digest), suspects))
    return {path: path for path in ordered} | {path: group[0] for group in groups for path in group}


def _alike(paths: Iterable[Path | Member], digests: Iterable[str]) -> list[list[Path | Member]]:
    groups: dict[str, list[Path | Member]] = defaultdict(list)
    for path, digest in zip(paths, digests, strict=True):
        groups[digest].append(path)
    return list(groups.values())


def _digest(of: Callable[[Path | Member], str]) -> Callable[[Path | Member], str]:
    def digest(path: Path | Member) -> str:
        try:
            return of(path)
        except OSError:  # reported as unreadable; alike to nothing
            return str(path)

    return digest


def _of(split: str) -> str:
    return "" if split == ALL else f"{split}: "


def _name(video: VideoEntry) -> str:
    if video.start == 0.0 and video.end is None:
        return str(video.path)
    return f"{video.path} from {video.start:g} s" + (f" to {video.end:g} s" if video.end else "")
