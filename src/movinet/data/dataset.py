"""Labelled videos as training and test examples, in an order that depends on nothing but seed and epoch."""

import gc
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from multiprocessing.util import Finalize
from types import FrameType
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from av.error import FFmpegError
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from movinet.data.augment import Augmentation, augment, crop_and_resize, draw_box
from movinet.data.sampling import Sampling
from movinet.data.videos import Video, VideoSet
from movinet.errors import MovinetError, VideoError
from movinet.video.decode import duration, read_at
from movinet.video.frame import Frame
from movinet.video.timing import LATE
from movinet.video.transform import Transform
from movinet.words import counted

logger = logging.getLogger(__name__)


_EXAMPLE, _REPLACEMENT, _ORDER = range(3)  # what a generator is for


class Example(NamedTuple):
    """One example, or a batch of them with a further first axis.

    Attributes:
        clip: uint8 (3, T, h, w), for `scaled` on the device that trains; (clips, 3, T, h, w) where the
            sampling gives several.
        target: The class, int64; for multi-label sets float32 (num_classes,) of 0 and 1.
        video: Which of the set's videos is shown: another than was asked for, where that could not be read.
        track: float32 (T, 2) or (clips, T, 2): x and y of a point to follow, in fractions of width and height; NaN
            where it is not known, as in all real videos.
    """

    clip: Tensor
    target: Tensor
    video: int
    track: Tensor


def scaled(levels: Tensor, transform: Transform) -> Tensor:
    """Levels of examples as a network takes them, on the device they are on.

    Args:
        levels: uint8 of any shape.
        transform: Of the network: what 0 and 255 become.

    Returns:
        float32, the numbers that the transform itself gives on the CPU.

    Raises:
        ValueError: They are not uint8, so scaled already.
    """
    if levels.dtype != torch.uint8:
        raise ValueError(f"levels must be uint8, not {levels.dtype}")
    low, high = transform.scale
    out = levels.float().mul_((high - low) / 255)
    return out.add_(low) if low else out


class Pick(NamedTuple):
    """Which example is wanted: `epoch` decides what is random about it. `batch` counts the batches of the epoch, those
    of all processes together as one: it decides what a batch must have in common, such as the length of its clips."""

    epoch: int
    video: int
    batch: int = 0


class LabelledClips(Protocol):
    """What training wants of a data set: examples that depend on their `Pick` alone.

    Attributes:
        classes: A network's output i stands for classes[i].
        multi_label: What kind of target examples have.
        transform: Of the network; scales the clips.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def multi_label(self) -> bool: ...
    @property
    def transform(self) -> Transform: ...
    def __len__(self) -> int: ...
    def __getitem__(self, pick: Pick, /) -> Example: ...
    def labels_of(self, index: int, /) -> tuple[str, ...]:
        """The labels of an example, without reading it; mirroring may exchange them."""


class ClipDataset(Dataset[Example]):
    """Videos, sampled, augmented and made ready for a network.

    The example of a `Pick` depends on it and the arguments here, not on process, worker or what was read before. A
    video that cannot be read is replaced by one with the same labels, or any if none of those can be read; that is
    logged once and noted in `broken`.

    Args:
        videos: The set, with its classes.
        transform: Of the network.
        sampling: From a stretch's duration to the instants to be seen; see `movinet.data.sampling`.
        augmentation: For training.
        seed: Of sampling and augmentation.
        folder_fps: At which rate image folders were taken; the transform's by default.

    Raises:
        MovinetError: No videos, labels that are no class, or `swap` pairs that are none.
    """

    def __init__(
        self,
        videos: VideoSet,
        transform: Transform,
        sampling: Sampling,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        folder_fps: float | None = None,
    ) -> None:
        if not videos.videos:
            raise MovinetError("a data set needs at least one video")
        self.videos, self.classes, self.multi_label = videos.videos, videos.labels, videos.multi_label
        self.transform, self.sampling, self.augmentation = transform, sampling, augmentation
        self.seed = seed
        self.folder_fps = folder_fps or transform.fps
        self.broken = torch.zeros(len(self.videos), dtype=torch.bool).share_memory_()
        """Which videos could not be read so far, in any worker."""
        self._class_of = {label: index for index, label in enumerate(self.classes)}
        swapped = chain.from_iterable(augmentation.swap) if augmentation else ()
        labels = {label for video in self.videos for label in video.labels}
        if unknown := sorted({*labels, *swapped} - set(self.classes)):
            raise MovinetError(f"no class is called {', '.join(unknown)}; there are {', '.join(self.classes)}")

    def __len__(self) -> int:
        return len(self.videos)

    def labels_of(self, index: int) -> tuple[str, ...]:
        return self.videos[index].labels

    def __getitem__(self, pick: Pick | int) -> Example:
        """The example of a pick; of an index alone, that of epoch 0.

        Raises:
            MovinetError: Not one video can be read.
        """
        epoch, asked = pick[:2] if isinstance(pick, tuple) else (0, pick)
        for index in self._candidates(epoch, asked):
            try:
                return self._read(index, _generator(_EXAMPLE, self.seed, epoch, asked))
            except (VideoError, FFmpegError, OSError) as error:
                if not self.broken[index]:
                    self.broken[index] = True
                    logger.warning("left out; in training another of its class takes its place: %s", error)
            except Exception as error:
                error.add_note(f"while {self.videos[index].path} was read")  # not the clip's fault, as far as we know
                raise
        raise MovinetError(f"none of {counted(len(self), 'video')} can be read; the first is {self.videos[0].path}")

    def _candidates(self, epoch: int, asked: int) -> Iterator[int]:
        """The video asked for, then others to take its place: first those with the same labels, at random."""
        yield asked
        labels = self.videos[asked].labels
        order = _generator(_REPLACEMENT, self.seed, epoch, asked).permutation(len(self)).tolist()
        others = [index for index in order if index != asked]
        yield from sorted(others, key=lambda index: self.videos[index].labels != labels)

    def _read(self, index: int, rng: np.random.Generator) -> Example:
        video = self.videos[index]
        start, end = _stretch(video, self.folder_fps)
        # What begins at the end is no longer part of the stretch.
        instants = start + np.minimum(self.sampling(end - start, rng), max(0.0, end - start - 2 * LATE))
        order = np.argsort(instants, axis=None, kind="stable")  # a decoder reads forwards
        # One decoding thread: the workers are as many as there are cores.
        read = read_at(video.path, instants.ravel()[order].tolist(), folder_fps=self.folder_fps, threads=1)
        labels = video.labels
        if self.augmentation is None:
            clip = torch.empty(3, instants.size, *self.transform.size, dtype=torch.uint8)  # long ones are here once
            for place, frame in enumerate(read):
                clip[:, place] = torch.from_numpy(frame.levels(self.transform)).permute(2, 0, 1)
        else:
            pixels = _shrunk(read, self.transform, self.augmentation, rng)
            pixels, mirrored = augment(pixels, self.augmentation, rng)
            labels = self.augmentation.mirrored(labels) if mirrored else labels
            clip = pixels.permute(3, 0, 1, 2).contiguous()
        if (np.diff(order) < 0).any():
            clip = clip[:, np.argsort(order)]
        if instants.ndim == 2:
            clip = clip.unflatten(1, instants.shape).movedim(1, 0)
        return Example(clip, self._target(labels), index, torch.full((*instants.shape, 2), torch.nan))

    def _target(self, labels: Sequence[str]) -> Tensor:
        classes = [self._class_of[label] for label in labels]
        if not self.multi_label:
            return torch.tensor(classes[0])
        target = torch.zeros(len(self.classes))
        target[classes] = 1.0
        return target


class EpochOrder(Sampler[Pick]):
    """The order of an epoch: all examples once, shuffled anew in each. `set_epoch` before each epoch, with a position
    to go on where a run was interrupted.

    Batches are as few as can be and as even as can be: 14 examples in batches of at most 8 are two batches of 7.

    Args:
        size: Examples in all.
        seed: Of the shuffling.
        shuffle: Otherwise in the order of the set.
        rank, ranks: Of several processes each takes every `ranks`-th example, so that their n-th batches together are
            the n-th batch of one process where all are full. The remainder, fewer than `ranks` examples, is left out.
        batch_size: Most examples in a batch, those of all ranks together. By default one a rank.

    Attributes:
        batches: In an epoch.

    Raises:
        ValueError: There is no such rank, or batches cannot be shared out evenly.
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        ranks: int = 1,
        batch_size: int | None = None,
    ) -> None:
        batch_size = ranks if batch_size is None else batch_size
        if not 0 <= rank < ranks:
            raise ValueError(f"rank must be at least 0 and less than the {ranks} ranks, not {rank}")
        if batch_size < 1 or batch_size % ranks:
            raise ValueError(f"{ranks} ranks cannot share a batch of {batch_size} evenly")
        self.size, self.seed, self.shuffle, self.rank, self.ranks = size, seed, shuffle, rank, ranks
        self.batch_size = batch_size
        self.batches = batches_of(size, batch_size, ranks)
        self.epoch = self.position = 0

    def set_epoch(self, epoch: int, position: int = 0) -> None:
        """Choose the epoch, leaving out the first `position` examples of this rank, which are whole batches' shares."""
        self.epoch, self.position = epoch, position

    def __iter__(self) -> Iterator[Pick]:
        order = _generator(_ORDER, self.seed, self.epoch).permutation(self.size) if self.shuffle else range(self.size)
        own = self.size // self.ranks
        for n in range(self.position, own):
            yield Pick(self.epoch, int(order[n * self.ranks + self.rank]), ((n + 1) * self.batches - 1) // own)

    def before(self, batch: int) -> int:
        """How many examples of this rank come before its `batch`-th batch: the position to go on from there."""
        return batch * (self.size // self.ranks) // max(1, self.batches)

    def __len__(self) -> int:
        return max(0, self.size // self.ranks - self.position)


def batches_of(size: int, batch_size: int, ranks: int = 1) -> int:
    """How many batches an epoch has: at most `batch_size` of `size` examples in each, shared evenly by `ranks`."""
    return -(-(size // ranks) // (batch_size // ranks))


class _AsNumbered(Sampler[list[Pick]]):
    """Batches as the picks' numbers say."""

    def __init__(self, order: Sampler[Pick]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[Pick]]:
        return (list(picks) for _, picks in groupby(self.order, lambda pick: pick.batch))


def load_batches(
    dataset: LabelledClips, order: Sampler[Pick], batch_size: int | None = None, workers: int = 0
) -> DataLoader[Example]:
    """Batches of examples, this process's share, prepared by `workers` processes of one thread each; 0 for this
    process.

    What comes out is the same for any number of workers. Workers live from epoch to epoch.

    Args:
        dataset: Where the examples are from.
        order: Which, and in which order.
        batch_size: Examples in a batch of this process, the last of which may be smaller; by default those picks are a
            batch that `order` numbers alike.
        workers: Processes.
    """
    needed = torch.ones(1, dtype=torch.bool).share_memory_()
    picks = cast("Sampler[int]", order)  # what torch takes for any sampler
    loader = _Loader(
        cast("Dataset[Example]", dataset),  # which torch asks to be a subclass, but never uses as one
        batch_sampler=_AsNumbered(order) if batch_size is None else BatchSampler(picks, batch_size, drop_last=False),
        num_workers=workers,
        worker_init_fn=partial(_begin_worker, needed),
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # the loader draws a seed, which must not move the training's own generator
    )
    # As this process ends, before it ends its workers and waits for them.
    Finalize(loader, needed.zero_, exitpriority=0)
    return loader


class WorkerLost(MovinetError):
    """A process that prepares examples is no more."""


class _Loader(DataLoader[Example]):
    def __iter__(self) -> Iterator[Example]:  # type: ignore[override]
        examples = super().__iter__()
        while True:
            try:
                example = next(examples)
            except StopIteration:
                return
            except MovinetError as error:  # torch puts a worker's whole traceback into the message
                raise MovinetError(str(error).rpartition("MovinetError: ")[2].strip()) from None
            except (RuntimeError, ConnectionError, EOFError) as error:
                if str(error).startswith("Caught "):  # in the worker, which lives
                    raise
                if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                    raise
                raise WorkerLost(
                    "a process that prepares clips was ended from outside, perhaps for want of memory; fewer of them "
                    "(--workers) need less"
                ) from error
            yield example


def _begin_worker(needed: Tensor, worker: int) -> None:
    """Args:
    needed: One bool in shared memory: the process that began this wants it.
    """
    torch.set_num_threads(1)

    def hear(number: int, frame: FrameType | None) -> None:
        # Cluster schedulers send SIGTERM to all processes; the one that trains saves first, and needs its workers to.
        signal.signal(number, signal.SIG_DFL)
        if not needed:
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, hear)
    # What was garbage before the fork is not to be collected here: it may be decoders, whose threads stayed behind.
    gc.freeze()


def _generator(purpose: int, *seeds: int) -> np.random.Generator:
    return np.random.default_rng((purpose, *seeds))


def _stretch(video: Video, folder_fps: float) -> tuple[float, float]:
    """(start, end) in seconds, within what there is of the video."""
    lasts = duration(video.path, folder_fps=folder_fps)
    end = lasts if video.end is None else min(video.end, lasts)
    if not video.start < end:
        raise VideoError(f"{video.path}: lasts {lasts:.2f} s, so nothing is left from {video.start} s on")
    return video.start, end


def _shrunk(
    frames: Iterator[Frame], transform: Transform, augmentation: Augmentation, rng: np.random.Generator
) -> Tensor:
    """(T, h, w, 3) uint8 at the network's size, each frame shrunk as it comes: a long clip is never in memory whole."""
    if augmentation.crop is None:
        return torch.from_numpy(np.stack([frame.levels(transform) for frame in frames]))
    first = next(frames)
    box = draw_box(augmentation.crop, first.rgb.shape[:2], transform.size, rng)
    return torch.cat(
        [crop_and_resize(torch.from_numpy(frame.rgb)[None], box, transform.size) for frame in chain([first], frames)]
    )
