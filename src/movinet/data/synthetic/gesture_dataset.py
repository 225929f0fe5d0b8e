"""Synthetic gestures as training and test examples, rendered when they are asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from movinet.data.dataset import DrawCounts, Example, SampleKey
from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.data.synthetic.paths import GESTURES
from movinet.errors import MovinetError
from movinet.video.transform import Transform

TRAINING_SEEDS = range(10**9)
TEST_SEEDS = range(10**9, 2 * 10**9)

_LENGTH, _CLIP = range(2)  # what a generator is for


class GestureDataset(Dataset[Example]):
    """Air gestures, every clip another person in another place; see `movinet.data.synthetic.gesture_clips`.

    The example of a `SampleKey` depends on it and the arguments here alone; an index alone shows another epoch each
    time (see `movinet.data.dataset.DrawCounts`), and where there are several lengths all clips of an epoch have
    one. Labels take turns, so that an epoch is balanced. The track is the fingertip's.

    Args:
        size: Height and width in pixels.
        fps: Frames a second the network expects.
        frames: In a clip; of several lengths, each batch (`SampleKey.batch`) has one.
        clips: In an epoch.
        seed: Of all that is drawn.
        seeds: From which clips are drawn: training, validation and test clips differ where these do.
        fps_scale: A clip is rendered at `fps` times a number drawn evenly from this range.
        fresh: Every epoch shows other clips; otherwise all show the same.
        classes: Which gestures.

    Raises:
        MovinetError: There is no clip to be rendered so.
    """

    multi_label = False

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        frames: int | Sequence[int],
        clips: int,
        *,
        seed: int = 0,
        seeds: range = TRAINING_SEEDS,
        fps_scale: tuple[float, float] = (0.75, 1.4),
        fresh: bool = True,
        classes: tuple[str, ...] = GESTURES,
    ) -> None:
        self.lengths = (frames,) if isinstance(frames, int) else tuple(frames)
        if clips < 1 or not self.lengths or min(self.lengths) < 1:
            raise MovinetError(f"gestures need clips and frames, at least one each; got {clips} and {frames}")
        if not 0 < fps_scale[0] <= fps_scale[1]:
            raise MovinetError(f"fps_scale must be a range of positive factors, the lower first; got {fps_scale}")
        if unknown := sorted(set(classes) - set(GESTURES)):
            raise MovinetError(f"no gesture is called {', '.join(unknown)}; choose from {', '.join(GESTURES)}")
        self.clips, self.seed, self.seeds, self.fps_scale, self.fresh = clips, seed, seeds, fps_scale, fresh
        self.classes = classes
        self.transform = Transform(size, min(size), fps)
        self._draws = DrawCounts(clips)

    def __len__(self) -> int:
        return self.clips

    def labels_of(self, index: int) -> tuple[str, ...]:
        return (self.classes[index % len(self.classes)],)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch examples are of that are next asked for by their index alone."""
        self._draws.set(epoch)

    def __getitem__(self, pick: SampleKey | int) -> Example:
        pick = self._draws.pick(pick)
        epoch = pick.epoch if self.fresh else 0
        frames = self.lengths[
            np.random.default_rng((_LENGTH, self.seed, epoch, pick.batch)).integers(len(self.lengths))
        ]
        rng = np.random.default_rng((_CLIP, self.seed, epoch, pick.video))
        seed, fps = (
            int(rng.integers(self.seeds.start, self.seeds.stop)),
            self.transform.fps * rng.uniform(*self.fps_scale),
        )
        (label,) = self.labels_of(pick.video)
        clip = render_gesture(label, seed, self.transform.size, frames, fps)
        pixels = torch.from_numpy(clip.frames).permute(3, 0, 1, 2).contiguous()
        target = torch.tensor(pick.video % len(self.classes))
        return Example(pixels, target, pick.video, torch.from_numpy(clip.fingertip))
