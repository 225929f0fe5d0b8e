"""The sets of a run: what is trained on, looked at after every epoch, and streamed once at the end."""

import json
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from movinet.arch.spec import Spec
from movinet.data.dataset import ClipDataset, LabeledClips
from movinet.data.stream_chunks import StreamChunks
from movinet.data.stream_places import OneAfterTheOther, RandomStretches, StreamVideo
from movinet.data.stream_videos import VideoLanes
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS, GestureDataset
from movinet.data.synthetic.gesture_streams import GestureLanes
from movinet.data.synthetic.paths import GESTURES
from movinet.errors import MovinetError
from movinet.labeled.readers import read_set
from movinet.labeled.sampling import Sampling, dense, random_clip, uniform, windows
from movinet.train.recipe import Recipe
from movinet.train.recipe_data import Gestures, GestureStreams, Streams
from movinet.train.splits import Splits, choose_splits
from movinet.train.stream_splits import StreamSplits, read_stream_splits
from movinet.video.transform import Transform
from movinet.weights.cache_folder import default_cache_dir

_GESTURE_SECONDS = 4.0  # of a synthetic clip for validation and test


@dataclass(frozen=True)
class Sets:
    """The sets of one run; they share their classes."""

    train: LabeledClips
    validation: LabeledClips | None
    test: LabeledClips | None  # whole videos
    fingerprint: str = ""  # of what is trained on and validated with: a run goes on with the same only


def read_splits(recipe: Recipe) -> Splits | StreamSplits | None:
    """The videos a recipe names, split; None where its clips are synthetic.

    Raises:
        MovinetError: There are none, or they cannot be trained on.
    """
    if recipe.data is None:
        raise MovinetError(
            "the recipe does not say what to train on: give --data, a folder or a list of labeled videos"
        )
    if isinstance(recipe.data, Gestures | GestureStreams):
        return None
    if isinstance(recipe.data, Streams):
        return read_stream_splits(recipe.data, seed=recipe.seed)
    listing = read_set(*recipe.data.paths, videos=recipe.data.videos, skip_missing=recipe.data.skip_missing)
    return choose_splits(listing, recipe.data, seed=recipe.seed)


def classes_of(splits: Splits | StreamSplits | None) -> tuple[str, ...]:
    """The classes, in the order of a network's outputs."""
    if isinstance(splits, StreamSplits):
        return splits.labels
    return splits.train.labels if splits else GESTURES


def make_sets(recipe: Recipe, splits: Splits | StreamSplits | None, spec: Spec, transform: Transform) -> Sets:
    """The sets as examples for a network."""
    if isinstance(recipe.data, GestureStreams):
        return _synthetic_streams(recipe.data, recipe, spec)
    if isinstance(recipe.data, Streams):
        assert isinstance(splits, StreamSplits)
        return _streams(recipe.data, recipe, splits, transform)
    assert not isinstance(splits, StreamSplits)
    if splits is None:
        assert isinstance(recipe.data, Gestures)
        return _synthetic(recipe.data, recipe.seed, spec)
    frames, fps, loop = recipe.clips.frames or spec.frames, spec.fps, recipe.clips.loop
    test_frames = spec.frames
    random: Sampling
    middle: Sampling
    if recipe.clips.spread:
        random, middle = partial(uniform, frames=frames), partial(uniform, frames=test_frames)
    else:
        random = partial(random_clip, fps=fps, frames=frames, jitter=recipe.clips.jitter, loop=loop)
        middle = partial(windows, fps=fps, frames=test_frames, loop=loop)
    whole = partial(dense, fps=fps) if spec.causal and not recipe.clips.spread else middle
    train = ClipDataset(splits.train, transform, random, recipe.augmentation, recipe.seed)
    return Sets(
        train,
        ClipDataset(splits.validation, transform, middle) if splits.validation else None,
        ClipDataset(splits.test, transform, whole) if splits.test else None,
        _fingerprint(splits),
    )


def _fingerprint(splits: Splits) -> str:
    """Of names, labels and stretches; where the files are does not matter."""
    parts = [splits.train, splits.validation]
    what = [
        [(Path(str(video.source)).name, video.labels, video.start, video.end) for video in part.videos] if part else []
        for part in parts
    ]
    return blake2b(json.dumps([splits.train.labels, what]).encode(), digest_size=16).hexdigest()


def _synthetic(data: Gestures, seed: int, spec: Spec) -> Sets:
    still = partial(
        GestureDataset,
        spec.size,
        spec.fps,
        round(_GESTURE_SECONDS * spec.fps),
        seeds=TEST_SEEDS,
        fps_scale=(1.0, 1.0),
        fresh=False,
    )
    return Sets(
        GestureDataset(
            spec.size, spec.fps, data.frames, data.clips, seed=seed, fps_scale=data.fps_scale, fresh=data.fresh
        ),
        still(data.validation, seed=0) if data.validation else None,
        still(data.test, seed=1) if data.test else None,
        "synthetic",
    )


def _synthetic_streams(data: GestureStreams, recipe: Recipe, spec: Spec) -> Sets:
    lanes = partial(GestureLanes, spec.size, spec.fps, recipe.sub_clip, rule=data.targets)
    train = lanes(clips=data.clips, lanes=recipe.batch_size, seed=recipe.seed)
    held_out = lanes(lanes=data.validation, seeds=TEST_SEEDS) if data.validation else None
    return Sets(
        StreamChunks(train, recipe.batch_size, data.chunks),
        StreamChunks(held_out, data.validation, data.validation_chunks, fresh=False) if held_out else None,
        None,
        "synthetic",
    )


def _streams(data: Streams, recipe: Recipe, splits: StreamSplits, transform: Transform) -> Sets:
    frames, fps, lanes = recipe.sub_clip, transform.fps, recipe.batch_size
    copies = Path(data.copies) if data.copies is not None else default_cache_dir() / "streams"
    of = partial(
        VideoLanes,
        classes=splits.labels,
        background=splits.background,
        transform=transform,
        frames=frames,
        copies=copies,
        rule=data.targets,
    )
    stretch = max(1, round(data.stretch * fps / frames))
    places = RandomStretches(
        splits.train, frames, fps, stretch, lanes, recipe.seed, data.focus, splits.moments, data.mined_share
    )
    train = of(splits.train, places=places, augmentation=recipe.augmentation, seed=recipe.seed)
    chunks = data.chunks or max(1, round(sum(v.seconds for v in splits.train) * fps / (frames * lanes)))

    def once(videos: tuple[StreamVideo, ...]) -> StreamChunks | None:
        if not videos:
            return None
        places = OneAfterTheOther(videos, frames, fps, lanes)
        return StreamChunks(of(videos, places=places), len(places.queues), places.chunks, fresh=False)

    what = [splits.labels, splits.background, splits.moments] + [
        [(video.path.name, video.start, video.end, video.segments) for video in part]
        for part in (splits.train, splits.validation)
    ]
    fingerprint = blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()
    return Sets(StreamChunks(train, lanes, chunks), once(splits.validation), once(splits.test), fingerprint)
