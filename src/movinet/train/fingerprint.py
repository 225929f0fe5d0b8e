"""Whether a run that goes on has the clips it began with, by what is in them and not by where or how old they are."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from movinet.data.dataset import ClipDataset, LabeledClips
from movinet.data.file_digest import DIGEST, file_digest
from movinet.data.stream_chunks import StreamChunks
from movinet.data.stream_videos import VideoLanes
from movinet.train.datasets import Sets
from movinet.video.locations import Member

_THREADS = 16  # that wait for a disk, perhaps on the network


def clip_digests(sets: Sets) -> dict[str, Tensor]:
    """A digest of each clip that is trained on or validated with.

    So a clip that was replaced under the same name is noticed, and one that was moved or copied is the same.

    Returns:
        (clips, 8) uint8 by `train` and `validation`; without sets that are no files.
    """
    parts = {"train": _files(sets.train), "validation": _files(sets.validation)}
    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            name: torch.tensor([list(digest) for digest in pool.map(file_digest, files)])
            .to(torch.uint8)
            .reshape(-1, DIGEST)
            for name, files in parts.items()
            if files is not None
        }


def changed_clips(sets: Sets, now: Mapping[str, Tensor], then: Mapping[str, Tensor]) -> list[str]:
    """The clips that are others than then, of sets that have the same clips by name."""
    found = []
    for name, part in (("train", sets.train), ("validation", sets.validation)):
        files = _files(part)
        if files is not None and name in then and then[name].shape == now[name].shape:
            differs = (now[name] != then[name]).any(1).tolist()
            found += [str(path) for path, other in zip(files, differs, strict=True) if other]
    return found


def _files(part: LabeledClips | None) -> list[Path | Member] | None:
    """Of a set that has any."""
    if isinstance(part, StreamChunks) and isinstance(part.lanes, VideoLanes):
        return [video.path for video in part.lanes.videos]
    return [video.path for video in part.videos] if isinstance(part, ClipDataset) else None
