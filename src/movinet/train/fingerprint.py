"""Whether a run that goes on has the clips it began with, by what is in them and not by where or how old they are."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from movinet.data.dataset import ClipDataset
from movinet.train.datasets import Sets
from movinet.video.locations import Member

_DIGEST = 8  # bytes
_SAMPLE = 4096  # bytes, at the beginning, in the middle and at the end of a file
_IMAGES = 8  # of a folder, whose contents are looked at
_THREADS = 16  # that wait for a disk, perhaps on the network


def clip_digests(sets: Sets) -> dict[str, Tensor]:
    """A digest of each clip that is trained on or validated with.

    Of a file its size and three samples of its bytes are digested; of a folder of images the names and sizes of all
    and such samples of some. So a clip that was replaced under the same name is noticed, and one that was moved or
    copied is the same.

    Returns:
        (clips, 8) uint8 by `train` and `validation`; without sets that are no files.
    """
    parts = {"train": sets.train, "validation": sets.validation}
    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            name: torch.tensor([list(digest) for digest in pool.map(_digest, [video.path for video in part.videos])])
            .to(torch.uint8)
            .reshape(-1, _DIGEST)
            for name, part in parts.items()
            if isinstance(part, ClipDataset)
        }


def changed_clips(sets: Sets, now: Mapping[str, Tensor], then: Mapping[str, Tensor]) -> list[str]:
    """The clips that are others than then, of sets that have the same clips by name."""
    found = []
    for name, part in (("train", sets.train), ("validation", sets.validation)):
        if isinstance(part, ClipDataset) and name in then and then[name].shape == now[name].shape:
            differs = (now[name] != then[name]).any(1).tolist()
            found += [str(video.path) for video, other in zip(part.videos, differs, strict=True) if other]
    return found


def _digest(path: Path | Member) -> bytes:
    """Zeros for what cannot be read: training will say so."""
    digest = blake2b(digest_size=_DIGEST)
    try:
        for part in _parts(path):
            digest.update(part)
    except OSError:
        return bytes(_DIGEST)
    return digest.digest()


def _parts(path: Path | Member) -> Iterator[bytes]:
    if isinstance(path, Member):
        yield from _samples(path.archive, path.offset, path.size)
    elif path.is_dir():
        images = sorted((entry for entry in os.scandir(path) if entry.is_file()), key=lambda entry: entry.name)
        for entry in images:
            yield f"{entry.name} {entry.stat().st_size}\n".encode(errors="surrogateescape")
        for entry in images[:: max(1, len(images) // _IMAGES)]:
            yield from _samples(Path(entry.path), 0, entry.stat().st_size)
    else:
        yield from _samples(path, 0, path.stat().st_size)


def _samples(path: Path, offset: int, size: int) -> Iterator[bytes]:
    yield size.to_bytes(8, "little")
    with path.open("rb") as file:
        for place in sorted({0, max(0, size - _SAMPLE) // 2, max(0, size - _SAMPLE)}):
            file.seek(offset + place)
            yield file.read(min(_SAMPLE, size))
