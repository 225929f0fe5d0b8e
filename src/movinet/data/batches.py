"""Batches of examples, in an order that depends on nothing but seed and epoch."""

import gc
import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from multiprocessing.util import Finalize
from types import FrameType
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from movinet.data.dataset import Example, LabeledClips, SampleKey
from movinet.errors import MovinetError

_ORDER = 2  # what a generator is for, beside those of `movinet.data.dataset`


class EpochOrder(Sampler[SampleKey]):
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

    def __iter__(self) -> Iterator[SampleKey]:
        order = (
            np.random.default_rng((_ORDER, self.seed, self.epoch)).permutation(self.size)
            if self.shuffle
            else range(self.size)
        )
        own = self.size // self.ranks
        for n in range(self.position, own):
            yield SampleKey(self.epoch, int(order[n * self.ranks + self.rank]), ((n + 1) * self.batches - 1) // own)

    def before(self, batch: int) -> int:
        """How many examples of this rank come before its `batch`-th batch: the position to go on from there."""
        return batch * (self.size // self.ranks) // max(1, self.batches)

    def __len__(self) -> int:
        return max(0, self.size // self.ranks - self.position)


def batches_of(size: int, batch_size: int, ranks: int = 1) -> int:
    """How many batches an epoch has: at most `batch_size` of `size` examples in each, shared evenly by `ranks`."""
    return -(-(size // ranks) // (batch_size // ranks))


class _AsNumbered(Sampler[list[SampleKey]]):
    """Batches as the picks' numbers say."""

    def __init__(self, order: Sampler[SampleKey]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[SampleKey]]:
        return (list(picks) for _, picks in groupby(self.order, lambda pick: pick.batch))


def load_batches(
    dataset: LabeledClips, order: Sampler[SampleKey], batch_size: int | None = None, workers: int = 0
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
    with torch.inference_mode(False):  # a tensor that may be changed when nobody infers any more
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
