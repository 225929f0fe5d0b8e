"""Small runs for tests: a network of two layers, and sets made of noise or of clips of a few frames."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tiny import LABELS, tiny_spec
from torch import Tensor
from torch.utils.data import Dataset

from movinet.arch.serialize import dump_spec
from movinet.data.dataset import Example, SampleKey
from movinet.data.stream_chunks import StreamChunks
from movinet.data.streams import IGNORE, StreamChunk, either
from movinet.nn.movinet import MoViNet
from movinet.train.datasets import Sets
from movinet.train.distributed import connect
from movinet.train.init_model import init_model
from movinet.train.recipe import AdamW, Recipe
from movinet.train.stream_training import StreamTraining
from movinet.train.train_loop import Training
from movinet.train.validation import EvalOutput
from movinet.video.encode import encode_video
from movinet.video.transform import Transform

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SIZE = (24, 32)
BASIC = Recipe(AdamW(0.01), epochs=2, batch_size=4, network="tiny", rezero_init=0.5)


@cache
def fabric() -> "Fabric":
    return connect("cpu")


class Noise(Dataset[Example]):
    """Clips of noise, each class of another brightness and color; the point to follow is anywhere."""

    def __init__(self, clips: int = 12, frames: int = 5, *, multi_label: bool = False, fresh: bool = True) -> None:
        self.clips, self.frames, self.multi_label, self.fresh = clips, frames, multi_label, fresh
        self.classes = LABELS
        self.transform = Transform(SIZE, 24, 5.0)

    def __len__(self) -> int:
        return self.clips

    def labels_of(self, index: int) -> tuple[str, ...]:
        return (self.classes[index % 3],) if not self.multi_label else self.classes[: index % 4]

    def __getitem__(self, pick: SampleKey) -> Example:
        rng = np.random.default_rng((pick.epoch if self.fresh else 0, pick.video))
        classes = [self.classes.index(label) for label in self.labels_of(pick.video)]
        clip = rng.integers(0, 160, (3, self.frames, *SIZE), np.uint8)
        clip[classes] += 60
        target = torch.tensor(classes[0]) if not self.multi_label else torch.zeros(3)
        if self.multi_label:
            target[classes] = 1.0
        return Example(torch.from_numpy(clip), target, pick.video, torch.from_numpy(rng.random((self.frames, 2))))


def noise(clips: int = 12, validation: int = 6, **options: object) -> Sets:
    """For training, and as many for validation; no test."""
    return Sets(Noise(clips, **options), Noise(validation, fresh=False, **options) if validation else None, None)


def batch(data: Noise, size: int = 4) -> Example:
    """The first examples of a set."""
    clips, targets, videos, tracks, _ = zip(*(data[SampleKey(0, n)] for n in range(size)), strict=True)
    return Example(torch.stack(clips), torch.stack(targets), torch.tensor(videos), torch.stack(tracks))


def as_file(folder: Path, causal: bool = True, **options: object) -> Path:
    """The tiny network's specification, for recipes and --arch."""
    path = folder / "tiny.yaml"
    path.write_text(dump_spec(tiny_spec(causal).with_options(**options)))
    return path


def new_network(recipe: Recipe, folder: Path, **options: object) -> MoViNet:
    """The tiny network as a run of the recipe would begin with it."""
    torch.manual_seed(recipe.seed)
    return init_model(replace(recipe, network=str(as_file(folder, **options))), LABELS).model


class Rows:
    """Remembers what a run told, without what differs from machine to machine."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.epochs: list[dict[str, float]] = []
        self.best_epochs: list[int] = []
        self.kept: dict[str, Tensor] = {}

    def step(self, row: Mapping[str, float]) -> None:
        self.steps.append(without(row, "clips_per_s"))

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        self.epochs.append(without(row, "seconds"))

    def best(self, model: MoViNet, row: Mapping[str, float]) -> None:
        self.best_epochs.append(int(row["epoch"]))
        self.kept = {name: value.clone() for name, value in model.state_dict().items()}


def without(row: Mapping[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in row.items() if key != name}


class Asked:
    """A wish to stop that comes after some updates."""

    def __init__(self, after: int | None = None) -> None:
        self.left = after

    @property
    def requested(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left <= 0


def new_training(recipe: Recipe, sets: Sets, folder: Path, on: "Fabric | None" = None, **options: Any) -> Training:
    """A run in a folder, from the beginning; `restore` goes on."""
    model = new_network(recipe, folder, **options.pop("network", {}))
    kind = StreamTraining if recipe.on_streams else Training
    return kind(on or fabric(), recipe, model, sets, folder / "checkpoint.safetensors", **options)


def clips_folder(folder: Path, counts: Mapping[str, int], frames: int = 6) -> Path:
    """A folder of clips per class: noise, each class of another brightness."""
    for place, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            write_clip(folder / label / f"{n}.mp4", 50 + 150 * place // max(1, len(counts) - 1), seed=n, frames=frames)
    return folder


def write_clip(path: Path, brightness: int, seed: int = 0, frames: int = 6) -> None:
    pixels = np.random.default_rng(seed).integers(-40, 40, (frames, *SIZE, 3)) + brightness
    encode_video(path, pixels.clip(0, 255).astype(np.uint8), fps=5)


def csv_list(path: Path, rows: Sequence[tuple[object, ...]], columns: str = "file,labels,split") -> Path:
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


class NoiseLanes:
    """Streams of noise; for some seconds they are bright in one color, which is a class; else it is `other`."""

    classes, background = LABELS, "other"

    def __init__(self, frames: int = 4, seed: int = 0, lasts: int = 3) -> None:
        self.frames, self.seed, self.lasts = frames, seed, lasts
        self.transform = Transform(SIZE, 24, 5.0)

    def chunk(self, lane: int, number: int) -> StreamChunk:
        rng = np.random.default_rng((self.seed, lane, number))
        clip = rng.integers(0, 120, (3, self.frames, *SIZE), np.uint8)
        shown = rng.integers(0, 3, self.frames)
        for place, label in enumerate(shown):
            clip[label, place] += 100
        targets = torch.from_numpy(shown)
        if number % 2:
            targets[0] = IGNORE if lane % 2 else either(int(targets[0]))
        return StreamChunk(torch.from_numpy(clip), targets, (number + lane) % self.lasts == 0)


def stream_noise(lanes: int = 4, chunks: int = 3, validation: int = 2) -> Sets:
    """Lanes to train on, and others to look at after every epoch."""
    held_out = StreamChunks(NoiseLanes(seed=1), validation, 4, fresh=False) if validation else None
    return Sets(StreamChunks(NoiseLanes(), lanes, chunks), held_out, None)
