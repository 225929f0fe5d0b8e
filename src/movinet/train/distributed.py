"""Devices and processes, by lightning-fabric."""

import atexit
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from movinet.errors import MovinetError
from movinet.freed_memory import keep_freed_memory
from movinet.words import counted

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TrainPrecision = Literal["32-true", "bf16-mixed"]


def connect(
    device: str = "auto",
    processes: int = 1,
    nodes: int = 1,
    precision: TrainPrecision | None = None,
    *,
    in_part: bool = False,
) -> "Fabric":
    """This process's place among all: started by us, by `torchrun`, SLURM or any other launcher fabric knows.

    Args:
        device: `cpu`, `cuda`, `mps`, or `auto`: a GPU if there is one.
        processes: On each machine; each has a GPU of its own. More than one are started by running the same command
            again, unless a launcher has already done so.
        nodes: Machines.
        precision: `bf16-mixed` on GPUs and `32-true` elsewhere by default.
        in_part: An update may use a part of the network only, as a search's do.

    A program's streams, logging, warnings and memory stay as they are (but see `settle_process`).

    Raises:
        MovinetError: lightning-fabric is not installed, there is no such device, or a launcher has started another
            number of processes.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MovinetError("training needs more packages: pip install 'movinet[train]'") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device):
        found = ", ".join(name for name, there in available.items() if there)
        raise MovinetError(f"--device {device}: there is no such device; there are {found}, and `auto`")
    if device == "cuda" and processes > torch.cuda.device_count():
        raise MovinetError(f"{processes} processes need as many GPUs; this machine has {torch.cuda.device_count()}")
    if precision is None:
        precision = "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    several = processes * nodes > 1 or "TORCHELASTIC_RUN_ID" in os.environ
    strategy = "auto" if not several else "ddp_find_unused_parameters_true" if in_part else "ddp"
    handlers = list(logging.getLogger("lightning_fabric").handlers)
    for handler in handlers:
        handler.addFilter(_matters)  # or each process says that it begins
    try:
        fabric = Fabric(accelerator=device, devices=processes, num_nodes=nodes, precision=precision, strategy=strategy)
        fabric.launch()
    except ValueError as error:
        raise MovinetError(f"--processes {processes} --nodes {nodes}: {error}") from error
    finally:
        for handler in handlers:
            handler.removeFilter(_matters)
    if several:
        atexit.register(_leave)
    return fabric


def settle_process(fabric: "Fabric") -> None:
    """What suits a process that does nothing but train, such as the command line's, and changes it for good: memory
    that is freed is kept (see `keep_freed_memory`)."""
    if fabric.device.type == "cpu":
        keep_freed_memory()


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def align_gradients(module: nn.Module) -> None:
    """Give gradients the strides of their parameters, of which processes that exchange them are warned otherwise: a 1×1
    kernel's gradient has strides of its own, which mean nothing, since all of its axes but two have length 1."""

    def align(parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        axes = zip(gradient.shape, gradient.stride(), parameter.stride(), strict=True)
        same = all(length == 1 or ours == wanted for length, ours, wanted in axes)
        return gradient.as_strided(parameter.shape, parameter.stride()) if same else gradient

    for parameter in module.parameters():
        if parameter.requires_grad and 1 in parameter.shape:
            parameter.register_hook(partial(align, parameter))


def _leave() -> None:
    """Close the group while Python still runs: its threads, left to themselves, abort a process now and then as it
    ends."""
    if dist.is_initialized():
        dist.destroy_process_group()


def shared_batch(batch_size: int, examples: int, processes: int) -> int:
    """The size of a batch that processes share evenly: a set smaller than a batch is one batch.

    Raises:
        MovinetError: They cannot.
    """
    batch = min(batch_size, examples) // processes * processes
    if not batch or (batch_size % processes and examples >= batch_size):
        raise MovinetError(
            f"{processes} processes cannot share {counted(examples, 'clip')} in batches of {batch_size} evenly"
        )
    return batch


class _Sum(torch.autograd.Function):
    """A sum over processes, both ways: each process's loss depends on all processes' parts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, through which gradients flow; itself where there is one process."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total
