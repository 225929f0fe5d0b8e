"""Chunks of all lanes as the batches of a training on streams."""

import torch
from torch.utils.data import Dataset

from movinet.data.dataset import Example, SampleKey
from movinet.data.streams import StreamLanes
from movinet.video.transform import Transform


class StreamChunks(Dataset[Example]):
    """Some lanes, of which an epoch takes so many chunks of each; with `movinet.data.batches.EpochOrder`, not shuffled
    and with as many examples a batch as there are lanes, every batch has the next chunk of all of them.

    Args:
        lanes: The streams.
        count: How many lanes.
        chunks: Of each in an epoch.
        fresh: Every epoch goes on where the last ended; otherwise all show the same.
    """

    multi_label = False

    def __init__(self, lanes: StreamLanes, count: int, chunks: int, fresh: bool = True) -> None:
        self.lanes, self.count, self.chunks, self.fresh = lanes, count, chunks, fresh

    @property
    def classes(self) -> tuple[str, ...]:
        return self.lanes.classes

    @property
    def transform(self) -> Transform:
        return self.lanes.transform

    @property
    def background(self) -> int:
        """The class of the frames in which nothing happens."""
        return self.classes.index(self.lanes.background)

    def __len__(self) -> int:
        """Chunks of an epoch."""
        return self.count * self.chunks

    def labels_of(self, index: int) -> tuple[str, ...]:
        """A chunk has no label; its frames have."""
        return ()

    def __getitem__(self, pick: SampleKey) -> Example:
        number, lane = divmod(pick.video, self.count)
        chunk = self.lanes.chunk(lane, number + (pick.epoch * self.chunks if self.fresh else 0))
        track = torch.full((len(chunk.targets), 2), torch.nan)
        return Example(chunk.frames, chunk.targets, lane, track, chunk.begins)
