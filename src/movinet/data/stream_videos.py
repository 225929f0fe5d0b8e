"""Long labeled videos as lanes to train on and to validate with."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from movinet.data.augment import Augmentation, augment, crop_and_resize, draw_box
from movinet.data.stream_copies import copy_of, make_copies, read_copy
from movinet.data.stream_places import Place, StreamVideo
from movinet.data.streams import IGNORE, StreamChunk, TargetRule, frame_targets
from movinet.video.transform import Transform

_CHANGE = 4  # what a generator is for, beside that of `movinet.data.stream_places`


class VideoLanes:
    """Long videos as lanes. Frames come from small copies of the videos, made before by `make_copies`.

    Args:
        videos: At least one.
        classes: A network's output i stands for classes[i].
        background: The class of the frames in which nothing happens.
        transform: Of the network.
        frames: Of a chunk.
        places: Where the chunks of a lane lie; None where there is no more.
        copies: The folder of the copies.
        rule: From when and until when a label is wanted.
        augmentation: The same for all of a stretch.
        seed: Of the augmentation.
    """

    def __init__(
        self,
        videos: Sequence[StreamVideo],
        classes: tuple[str, ...],
        background: str,
        transform: Transform,
        frames: int,
        places: Callable[[int, int], Place | None],
        copies: Path,
        *,
        rule: TargetRule,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.videos, self.classes, self.background, self.transform = videos, classes, background, transform
        self.frames, self.places, self.copies, self.rule = frames, places, copies, rule
        self.augmentation, self.seed = augmentation, seed
        self._copies: dict[int, Path] = {}

    def make_copies(self, progress: Callable[[int, int | None], None] | None = None) -> None:
        """Decode the videos; before the first chunk is asked for.

        Raises:
            MovinetError: One cannot be read, or its copy not written.
        """
        make_copies([video.path for video in self.videos], self.transform, self.copies, progress)

    def chunk(self, lane: int, number: int) -> StreamChunk:
        place = self.places(lane, number)
        if place is None:
            nothing = torch.zeros(3, self.frames, *self.transform.size, dtype=torch.uint8)
            return StreamChunk(nothing, torch.full((self.frames,), IGNORE), False)
        video, fps = self.videos[place.video], self.transform.fps
        if place.video not in self._copies:
            self._copies[place.video] = copy_of(video.path, self.transform, self.copies)
        pixels = read_copy(self._copies[place.video], place.first, self.frames, fps)
        frames, mirrored = self._changed(pixels, (lane, place.stretch, place.video))
        times = (place.first + np.arange(self.frames)) / fps
        beyond = times[-1] + self.rule.held + self.rule.fading
        near = [s for s in video.segments if s[1] <= times[-1] and s[2] + beyond - times[-1] >= times[0]]
        if mirrored:
            near = [(self._mirrored(label), start, end) for label, start, end in near]
        targets = frame_targets(times, near, self.classes.index(self.background), self.rule)
        targets[torch.from_numpy((times < video.start) | (times >= video.end))] = IGNORE
        return StreamChunk(frames.permute(3, 0, 1, 2).contiguous(), targets, place.begins)

    def segments(self, lane: int, chunks: int) -> list[tuple[int, float, float]]:
        """What happens in the first chunks of a lane, but for the background: (class, start, end) in seconds from its
        beginning."""
        found, fps, none = [], self.transform.fps, self.classes.index(self.background)
        for number in range(chunks):
            place = self.places(lane, number)
            if place is None or not place.begins:
                continue
            video, shift = self.videos[place.video], (number * self.frames - place.first) / fps
            found += [
                (label, max(start, video.start) + shift, min(end, video.end) + shift)
                for label, start, end in video.segments
                if label != none and start < video.end and end >= video.start
            ]
        return sorted(found, key=lambda segment: segment[1])

    def _changed(self, pixels: np.ndarray, draw: tuple[int, ...]) -> tuple[Tensor, bool]:
        """(T, h, w, 3) uint8 at the network's size, and whether it is mirrored."""
        if self.augmentation is None:
            return torch.from_numpy(self.transform.levels(pixels)), False
        rng = np.random.default_rng((_CHANGE, self.seed, *draw))
        if self.augmentation.crop is None:
            frames = torch.from_numpy(self.transform.levels(pixels))
        else:
            box = draw_box(self.augmentation.crop, pixels.shape[1:3], self.transform.size, rng)
            frames = crop_and_resize(torch.from_numpy(pixels), box, self.transform.size)
        return augment(frames, self.augmentation, rng)

    def _mirrored(self, label: int) -> int:
        assert self.augmentation is not None
        return self.classes.index(self.augmentation.mirrored((self.classes[label],))[0])
