"""Run by test_processes.py: two processes do together what one can do, and write down what came of it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from training_sets import BASIC, Asked, Noise, Rows, new_training, noise

from movinet.train.batch_norm import SynchronizedNorm, renormalize, synchronize_norms
from movinet.train.distributed import connect, settle_process
from movinet.train.recipe import AuxPoint, Loss, Recipe, RMSprop, Smoothness
from movinet.train.validation import evaluate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# AdamW would make as much of a gradient that is nothing but rounding, as in front of a norm, as of any other.
PLAIN = replace(BASIC, optimizer=RMSprop(0.5))
RECIPES = {
    "clip": replace(PLAIN, loss=Loss(0.1, "balanced", Smoothness(frames=3), AuxPoint(("blocks.0.0",))), ema_decay=0.9),
    "recurrent": replace(PLAIN, strategy="recurrent", sub_clip=2),
    "reach": replace(PLAIN, strategy="recurrent", sub_clip=2, bptt_clips=2),
}
SETS = noise(clips=8, validation=5)
STEADY = {"dropout": 0.0, "stochastic_depth": 0.0}


def train(recipe: Recipe, folder: Path, on: "Fabric") -> Rows:
    """A run without anything random in the network."""
    rows = Rows()
    assert new_training(recipe, SETS, folder, on, network=STEADY).run(Asked(), [rows])
    return rows


def norm_batches(ranks: int, rank: int) -> tuple[list[Tensor], list[Tensor]]:
    """Two batches, far from mean 0, and what their results are multiplied with: this process's share."""
    generator = torch.Generator().manual_seed(5)
    batches = [5 + 3 * torch.randn(4, 6, 3, 5, generator=generator) for _ in range(2)]
    weights = [torch.randn(4, 6, 3, 5, generator=generator) for _ in range(2)]
    return [b.chunk(ranks)[rank] for b in batches], [w.chunk(ranks)[rank] for w in weights]


def new_norm() -> nn.Sequential:
    norm = nn.BatchNorm2d(6, eps=1e-3, momentum=0.1)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 6))
        norm.bias.copy_(torch.linspace(-1, 1, 6))
    return nn.Sequential(norm)


def renormalized() -> nn.Sequential:
    norm = new_norm()
    renormalize(norm, settled=True)
    return norm


def normalize(model: nn.Sequential, ranks: int, rank: int) -> dict[str, Tensor]:
    """Results, gradients and statistics."""
    results = {}
    for n, (x, weight) in enumerate(zip(*norm_batches(ranks, rank), strict=True)):
        x.requires_grad_()
        y = model(x)
        (y * weight).sum().backward()
        results |= {f"y{n}": y.detach(), f"dx{n}": x.grad}
    results |= {f"d{name}": parameter.grad for name, parameter in model.named_parameters()}
    return results | dict(model.state_dict())


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    fabric = connect("cpu", processes=2)
    settle_process(fabric)
    rank = fabric.global_rank
    for name, recipe in RECIPES.items():
        own = folder / name / str(rank)
        own.mkdir(parents=True)
        rows = train(recipe, own, fabric)
        (own / "rows.json").write_text(json.dumps([rows.steps, rows.epochs]))

    norm = new_norm()
    synchronize_norms(norm)
    assert type(norm[0]) is SynchronizedNorm
    torch.save(normalize(norm, 2, rank), folder / f"norm{rank}.pt")
    torch.save(normalize(renormalized(), 2, rank), folder / f"renorm{rank}.pt")

    (own := folder / "stop" / str(rank)).mkdir(parents=True)
    stopped = new_training(BASIC, SETS, own, fabric)
    assert not stopped.run(Asked(2 if rank == 1 else None))
    assert stopped.state.step == 2
    answers = evaluate(fabric, stopped.model, Noise(5, fresh=False), 2)
    told = {"videos": answers.videos.tolist(), "targets": answers.targets.tolist(), "logits": answers.logits.tolist()}
    (own / "answers.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
