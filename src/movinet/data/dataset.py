"""Labeled videos as training and test examples, which depend on nothing but seed, epoch and video."""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
import torch
from av.error import FFmpegError
from torch import Tensor
from torch.utils.data import Dataset

from movinet.data.augment import Augmentation, augment, crop_and_resize, draw_box
from movinet.errors import MovinetError, VideoError
from movinet.labeled.entries import VideoSet
from movinet.labeled.sampling import Sampling, within
from movinet.video.decode import read_at
from movinet.video.frame import Frame
from movinet.video.transform import Transform
from movinet.words import counted

logger = logging.getLogger(__name__)


_EXAMPLE, _REPLACEMENT = range(2)  # what a generator is for


class Example(NamedTuple):
    """One example, or a batch of them with a further first axis.

    Attributes:
        clip: uint8 (3, T, h, w), for `scaled` on the device that trains; (clips, 3, T, h, w) where the
            sampling gives several.
        target: The class, int64; for multi-label sets float32 (num_classes,) of 0 and 1; of a chunk of a stream int64
            (T,), see `movinet.data.streams.StreamChunk`.
        video: Which of the set's videos is shown: another than was asked for, where that could not be read.
        track: float32 (T, 2) or (clips, T, 2): x and y of a point to follow, in fractions of width and height; NaN
            where it is not known, as in all real videos.
        begins: Nothing comes before it; False of a chunk with which a stream goes on.
    """

    clip: Tensor
    target: Tensor
    video: int
    track: Tensor
    begins: bool = True


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


class SampleKey(NamedTuple):
    """Which example is wanted: `epoch` decides what is random about it. `batch` counts the batches of the epoch, those
    of all processes together as one: it decides what a batch must have in common, such as the length of its clips."""

    epoch: int
    video: int
    batch: int = 0


class LabeledClips(Protocol):
    """What training wants of a data set: examples that depend on their `SampleKey` alone.

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
    def __getitem__(self, pick: SampleKey, /) -> Example: ...
    def labels_of(self, index: int, /) -> tuple[str, ...]:
        """The labels of an example, without reading it; mirroring may exchange them."""


class DrawCounts:
    """How often each example of a set has been drawn by its index alone, by all processes that share the set.

    Whatever the sampler and however many workers, the n-th time an index is asked for it is that of epoch n: anybody's
    own `DataLoader` shows new augmentation in every epoch, and the same again to whoever begins anew.
    """

    def __init__(self, size: int) -> None:
        self._counts = torch.zeros(size, dtype=torch.int64).share_memory_()  # workers, and those that outlive an epoch

    def pick(self, wanted: "SampleKey | int") -> SampleKey:
        """What is wanted, as a pick; an index counts as drawn.

        Raises:
            IndexError: There is no such example.
        """
        if isinstance(wanted, tuple):
            return wanted
        index = range(len(self._counts))[wanted]
        epoch = int(self._counts[index])
        self._counts[index] += 1
        return SampleKey(epoch, index)

    def set(self, epoch: int) -> None:
        """Let what is drawn next, of all examples, be of an epoch."""
        self._counts.fill_(epoch)


class ClipDataset(Dataset[Example]):
    """Videos, sampled, augmented and made ready for a network.

    The example of a `SampleKey` depends on it and the arguments here, not on process, worker or what was read before.
    An index alone, as samplers of torch give it, shows another epoch each time it is asked for (see `DrawCounts`). A
    video that cannot be read is replaced by one with the same labels, or any if none of those can be read; that is
    logged once and noted in `broken`.

    Args:
        videos: The set, with its classes.
        transform: Of the network.
        sampling: From a stretch's duration to the instants to be seen; see `movinet.labeled.sampling`.
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
        self._draws = DrawCounts(len(self.videos))
        self._class_of = {label: index for index, label in enumerate(self.classes)}
        swapped = chain.from_iterable(augmentation.swap) if augmentation else ()
        labels = {label for video in self.videos for label in video.labels}
        if unknown := sorted({*labels, *swapped} - set(self.classes)):
            raise MovinetError(f"no class is called {', '.join(unknown)}; there are {', '.join(self.classes)}")

    def __len__(self) -> int:
        return len(self.videos)

    def labels_of(self, index: int) -> tuple[str, ...]:
        return self.videos[index].labels

    def set_epoch(self, epoch: int) -> None:
        """Which epoch examples are of that are next asked for by their index alone; needed where a run goes on, and
        where several processes share the examples out anew in every epoch."""
        self._draws.set(epoch)

    def __getitem__(self, pick: SampleKey | int) -> Example:
        """The example of a pick; of an index alone, that of the epoch after the last it was drawn for, from 0.

        Raises:
            MovinetError: Not one video can be read.
            IndexError: There is no such video.
        """
        epoch, asked, _ = self._draws.pick(pick)
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
        video, sampled = self.videos[index], []

        def instants_of(lasts: float) -> list[float]:
            sampled.append(within(*video.stretch(lasts), self.sampling, rng))
            return np.sort(sampled[0], axis=None).tolist()  # a decoder reads forwards

        # One decoding thread: the workers are as many as there are cores.
        read = read_at(video.path, instants_of, folder_fps=self.folder_fps, threads=1)
        read = chain([next(read)], read)  # by which the instants are known
        (instants,), labels = sampled, video.labels
        order = np.argsort(instants, axis=None, kind="stable")
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


def _generator(purpose: int, *seeds: int) -> np.random.Generator:
    return np.random.default_rng((purpose, *seeds))


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
