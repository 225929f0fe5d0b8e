"""Which of the labeled videos are trained on, looked at after every epoch, and streamed at the end."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from movinet.errors import MovinetError
from movinet.labeled.entries import DatasetIndex, VideoEntry, VideoSet
from movinet.train.recipe_data import Streams, Videos
from movinet.words import counted

_DEFAULTS = {"train": ("train",), "validation": ("val", "dev"), "test": ("test",)}
"""What the names of splits begin with, by what they are for."""


@dataclass(frozen=True)
class Splits:
    """Videos by what they are for; all have the same classes.

    Args:
        train: Never empty.
        validation: None where there is none.
        test: None where there is none.
        warnings: What a user should know of them, in words.
    """

    train: VideoSet
    validation: VideoSet | None
    test: VideoSet | None
    warnings: tuple[str, ...] = ()


def choose_splits(listing: DatasetIndex, data: Videos, seed: int = 0) -> Splits:
    """The splits of a data set as `Videos` says.

    Args:
        listing: The data set.
        data: What is said of its splits.
        seed: Of the choice of what is held out; equal seeds hold out the same videos.

    Raises:
        MovinetError: A split is unknown or used twice, there is nothing to train on, or only one class.
    """
    names = uses_of_splits(list(listing.splits), data)
    if not names["train"]:
        raise MovinetError(
            f"no videos to train on: of the splits {', '.join(listing.splits)}, {_uses(names)}; "
            "say which are to be trained on (data.train), or leave a split for it"
        )
    train = listing.select(*names["train"])
    validation = listing.select(*names["validation"]) if names["validation"] else None
    test = listing.select(*names["test"]) if names["test"] else None
    used = {name for chosen in names.values() for name in chosen}
    unused = [name for name in listing.splits if name not in used]
    warnings = [f"splits that are not used: {', '.join(unused)}"] if unused else []
    if listing.missing:
        warnings.append(f"{counted(len(listing.missing), 'listed video')} missing and left out")
    if validation is None and data.held_out > 0:
        held_out = _hold_out(train.videos, data.held_out, seed)
        validation = replace(train, videos=tuple(v for v, out in zip(train.videos, held_out, strict=True) if out))
        train = replace(train, videos=tuple(v for v, out in zip(train.videos, held_out, strict=True) if not out))
        warnings += _not_held_out(train, validation)
        validation = validation if validation.videos else None
    warnings += _shared({"training": train, "validation": validation, "test": test})
    trained = {label for video in train.videos for label in video.labels}
    if not trained:
        raise MovinetError("no video to train on has a label")
    if len(trained) == 1 and not train.multi_label:
        raise MovinetError(
            f"all videos to train on show {trained.pop()}; a network that knows one class has nothing to learn: "
            "add clips of something else"
        )
    if unseen := [label for label in train.labels if label not in trained]:
        warnings.append(f"no clips to train on, so never to be recognized: {', '.join(unseen)}")
    return Splits(train, validation, test, tuple(warnings))


def uses_of_splits(there: Sequence[str], data: Videos | Streams) -> dict[str, tuple[str, ...]]:
    """Names of splits by what they are for: `train`, `validation`, `test`.

    Args:
        there: The names.
        data: What is said of them.

    Raises:
        MovinetError: A split is unknown or used twice.
    """
    names = {use: tuple(getattr(data, use)) for use in _DEFAULTS}
    said = [name for chosen in names.values() for name in chosen]
    if unknown := [name for name in said if name not in there]:
        raise MovinetError(f"there is no split {unknown[0]!r}; there are {', '.join(there)}")
    if twice := [name for name, count in Counter(said).items() if count > 1]:
        raise MovinetError(f"the split {twice[0]!r} is used twice: {_uses(names)}; what is trained on tells nothing")
    rest = [name for name in there if name not in said]
    for use, beginnings in _DEFAULTS.items():
        if not names[use]:
            names[use] = tuple(name for name in rest if name.lower().startswith(beginnings))
    if not names["train"]:
        names["train"] = tuple(name for name in rest if name not in names["validation"] + names["test"])
    return names


def _uses(names: dict[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{'+'.join(chosen)} for {use}" for use, chosen in names.items() if chosen)


def _hold_out(videos: Sequence[VideoEntry], share: float, seed: int) -> list[bool]:
    """Whether each video is held out: at most a share of every class, rounded, and never all of it.

    A file is held out with all its stretches or not at all: they look alike. Going through the files at random, each
    is taken where no class it shows has enough already.
    """
    files: dict[str, list[int]] = defaultdict(list)
    for index, video in enumerate(videos):
        files[video.source].append(index)
    classes = Counter(label for video in videos for label in _labels(video))
    left = {label: min(int(share * count + 0.5), count - 1) for label, count in classes.items()}
    held_out = [False] * len(videos)
    groups = list(files.values())
    for place in np.random.default_rng(seed).permutation(len(groups)):
        shown = Counter(label for index in groups[place] for label in _labels(videos[index]))
        if all(count <= left[label] for label, count in shown.items()):
            for label, count in shown.items():
                left[label] -= count
            for index in groups[place]:
                held_out[index] = True
    return held_out


def _shared(parts: Mapping[str, VideoSet | None]) -> Iterable[str]:
    """Files in more than one part: what is said of one tells nothing of the other."""
    files = {use: {video.source for video in part.videos} for use, part in parts.items() if part}
    for (one, first), (other, second) in combinations(files.items(), 2):
        if both := sorted(first & second):
            files_are = counted(len(both), "file is", "files are")
            yield f"{files_are} for {one} and for {other}, whose scores flatter then: {both[0]}, …"


def _labels(video: VideoEntry) -> Iterable[str]:
    """Of what a video is counted; one that shows nothing is of a kind of its own."""
    return video.labels or ("",)


def _not_held_out(train: VideoSet, validation: VideoSet) -> Iterable[str]:
    if not validation.videos:
        yield "too few videos to hold any out: there is no validation"
        return
    shown = {label for video in validation.videos for label in video.labels}
    trained = {label for video in train.videos for label in video.labels}
    if lacking := [label for label in train.labels if label in trained - shown]:
        yield f"too few clips to hold any out for validation: {', '.join(lacking)}"
