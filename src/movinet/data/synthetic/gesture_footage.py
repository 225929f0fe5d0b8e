"""Synthetic gestures that no training sees, as videos to judge a network on; rendered when they are looked at."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from movinet.data.dataset import SampleKey
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS, GestureDataset
from movinet.data.synthetic.paths import GESTURES
from movinet.labeled.sampling import Sampling
from movinet.video.frame import Frame
from movinet.video.pacer import FilePacer
from movinet.video.transform import Transform

_SECONDS = 4.0  # of a clip, as in training's own test
_SEED = 1  # likewise


@dataclass(frozen=True)
class GestureFootage:
    """See `movinet.evaluate.footage.Footage`. Equal numbers of equal sets are equal clips, those that training tests
    with at its end.

    Args:
        clips: the set.
        number: of the clip.
    """

    clips: GestureDataset
    number: int

    @property
    def name(self) -> str:
        return f"gesture {self.number}"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.clips.labels_of(self.number)

    @property
    def source(self) -> str:
        return self.name

    @property
    def fingerprint(self) -> list[object]:
        return [self.name, list(self.labels), *self.clips.transform.size, self.clips.transform.fps]

    def stream(self, fps: float) -> Iterator[Frame]:
        yield from self._shown(FilePacer(fps))

    def at(self, sampling: Sampling, fps: float) -> tuple[float, Iterator[Frame]]:
        instants = sampling(_SECONDS, np.random.default_rng(0))
        return _SECONDS, self._shown(FilePacer(times=instants.tolist()))

    def _shown(self, pacer: FilePacer) -> Iterator[Frame]:
        pixels = self.clips[SampleKey(0, self.number)].clip.permute(1, 2, 3, 0).contiguous().numpy()
        period = 1 / self.clips.transform.fps
        timed = ((n * period, period, Frame.of_rgb(rgb, n * period)) for n, rgb in enumerate(pixels))
        return (frame.at(time) for time, frame in pacer.shown(timed))


def gesture_footage(transform: Transform, clips: int) -> list[GestureFootage]:
    """Clips of all gestures in turn, of the size at which a network's crop sees most of them.

    Args:
        transform: of the network.
        clips: how many.

    Raises:
        MovinetError: there are none.
    """
    factor = transform.resize_short / min(transform.size)
    height, width = (round(side * factor) for side in transform.size)
    frames = round(_SECONDS * transform.fps)
    rendered = GestureDataset(
        (height, width), transform.fps, frames, clips, seed=_SEED, seeds=TEST_SEEDS, fps_scale=(1.0, 1.0), fresh=False,
        classes=GESTURES,
    )  # fmt: skip
    return [GestureFootage(rendered, number) for number in range(clips)]
