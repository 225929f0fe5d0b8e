"""Small trainings on synthetic gestures, many alike: what `ablations.py` and its neighbors share.

Clips are rendered once and kept; every training is the same but for what is compared, in one process, on one thread.
What it came to is kept in `trained.jsonl`, a line a training with which of the test clips it got right, and the network
in `networks/`; neither is made again: a study that was stopped goes on with the next, and studies that share a folder
share what they train alike, whatever they call it.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.arch.spec import SingleSpec
from movinet.create import load_model, save_model
from movinet.data.dataset import Example, LabeledClips, SampleKey
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS, GestureDataset
from movinet.data.synthetic.paths import GESTURES
from movinet.files import write_atomically
from movinet.metrics import paired_bootstrap
from movinet.train.datasets import Sets
from movinet.train.distributed import connect, settle_process
from movinet.train.init_model import init_model, new_spec
from movinet.train.recipe import Recipe, recipe_to_dict
from movinet.train.recipe_data import Gestures
from movinet.train.signals import Stop
from movinet.train.train_loop import Training
from movinet.train.validation import evaluate

TRAINED = "trained.jsonl"
Hits = NDArray[np.bool_]


class Kept:
    """A set whose clips never change, in memory; rendered once, and read from a file from then on.

    Args:
        data: The set.
        path: Of the file.
        shuffled: The frames of each clip come in an order of its own, so that order tells nothing.
    """

    def __init__(self, data: LabeledClips, path: Path, shuffled: bool = False) -> None:
        self.data, self.classes, self.multi_label, self.transform = data, data.classes, data.multi_label, data.transform
        if not path.exists():
            examples = [data[SampleKey(0, n)] for n in range(len(data))]
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory() as scratch:
                file = Path(scratch, "clips.npz")
                parts = {
                    name: np.stack([np.asarray(getattr(e, name)) for e in examples])
                    for name in ("clip", "target", "track")
                }
                np.savez(file, allow_pickle=False, **parts)
                write_atomically(path, file.read_bytes())
        with np.load(path) as kept:
            self.clip, self.target, self.track = (torch.from_numpy(kept[name]) for name in ("clip", "target", "track"))
        if shuffled:
            for n in range(len(self)):
                order = torch.from_numpy(np.random.default_rng(n).permutation(self.clip.shape[2]))
                self.clip[n], self.track[n] = self.clip[n][:, order], self.track[n][order]

    def __len__(self) -> int:
        return len(self.data)

    def labels_of(self, index: int, /) -> tuple[str, ...]:
        return self.data.labels_of(index)

    def __getitem__(self, pick: SampleKey, /) -> Example:
        return Example(self.clip[pick.video], self.target[pick.video], pick.video, self.track[pick.video])


@dataclass(frozen=True)
class Outcome:
    """What one training came to."""

    variant: str
    seed: int
    hits: Hits
    """(test clips,) which it got right."""
    seconds: float

    @property
    def top1(self) -> float:
        return float(self.hits.mean())


class Study:
    """A folder of trainings.

    Args:
        folder: Where clips and what was trained are kept.
        log: Told what is done.
    """

    def __init__(self, folder: Path, log: Callable[[str], None] = print) -> None:
        self.folder, self.log = folder, log
        folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        self.fabric = connect("cpu")
        settle_process(self.fabric)
        self._sets: dict[str, Kept] = {}

    def outcomes(self) -> dict[tuple[int, str], Outcome]:
        """What is known, by seed and `digest` of the recipe."""
        path = self.folder / TRAINED
        found = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            row = json.loads(line)
            bits = np.unpackbits(np.frombuffer(base64.b64decode(row["hits"]), np.uint8), count=row["clips"])
            outcome = Outcome(row["variant"], row["seed"], bits.astype(bool), row["seconds"])
            found[outcome.seed, row["digest"]] = outcome
        return found

    def train(
        self, variant: str, recipe: Recipe, *, shuffled: bool = False, known_only: bool = False
    ) -> Outcome | None:
        """What a recipe of synthetic gestures comes to; from the file where it is known.

        Args:
            variant: What it is called.
            recipe: With its seed.
            shuffled: The frames of each clip come in any order.
            known_only: Train nothing: None where it is not known.
        """

        def run() -> Hits:
            test = self.sets(recipe, shuffled).test
            assert test is not None
            return self.hits(self.network(recipe, shuffled), test)

        return self.outcome(variant, recipe.seed, digest(recipe, shuffled), run, known_only)

    def outcome(
        self, variant: str, seed: int, which: str, run: Callable[[], Hits], known_only: bool = False
    ) -> Outcome | None:
        """What something comes to; from the file where it is known.

        Args:
            variant: What it is called.
            seed: Its seed.
            which: A digest of all else that it depends on.
            run: Does it.
            known_only: Do nothing: None where it is not known.
        """
        known = self.outcomes().get((seed, which))
        if known is not None or known_only:
            return known
        begin = time.process_time()
        hits = run()
        outcome = Outcome(variant, seed, hits, time.process_time() - begin)
        self.remember(outcome, which)
        self.log(f"{variant}, seed {seed}: {hits.mean():.1%} in {outcome.seconds:.0f} s of processor")
        return outcome

    def network(self, recipe: Recipe, shuffled: bool = False) -> Any:
        """The network of a recipe, trained; from its file where there is one."""
        path = self.network_path(recipe, shuffled)
        if path.exists():
            return load_model(path).model
        model = self.fitted(recipe, self.sets(recipe, shuffled))
        path.parent.mkdir(exist_ok=True)
        save_model(model, path, labels=GESTURES)
        return model

    def network_path(self, recipe: Recipe, shuffled: bool = False) -> Path:
        """Where `network` keeps it."""
        return self.folder / "networks" / f"{digest(recipe, shuffled)}-{recipe.seed}.safetensors"

    def fitted(self, recipe: Recipe, sets: Sets) -> Any:
        """The network of a recipe, trained."""
        torch.manual_seed(recipe.seed)
        model = self.model(recipe)
        with TemporaryDirectory() as scratch:
            Training(self.fabric, recipe, model.train(), sets, Path(scratch, "checkpoint")).run(Stop())
        return model.eval()

    def hits(self, model: Any, test: LabeledClips) -> Hits:
        """Which test clips a network gets right."""
        answers = evaluate(self.fabric, model, test, 64)
        found: Hits = answers.logits.argmax(1) == answers.targets
        return found

    def model(self, recipe: Recipe) -> Any:
        """A new network of a recipe."""
        return init_model(recipe, GESTURES).model

    def remember(self, outcome: Outcome, which: str) -> None:
        """Write down what a training came to."""
        row: dict[str, Any] = {"variant": outcome.variant, "seed": outcome.seed, "digest": which}
        packed = base64.b64encode(np.packbits(outcome.hits).tobytes()).decode()
        row |= {"top1": outcome.top1, "clips": len(outcome.hits), "hits": packed, "seconds": round(outcome.seconds, 1)}
        row["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
        with (self.folder / TRAINED).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def sets(self, recipe: Recipe, shuffled: bool = False) -> Sets:
        """The clips of a recipe: to train on, and to test with, in the same length and at the network's own rate."""
        spec = new_spec(recipe, len(GESTURES))
        data = recipe.data
        assert isinstance(data, Gestures)
        assert not data.fresh
        assert len(data.frames) == 1
        (frames,) = data.frames
        train = GestureDataset(spec.size, spec.fps, frames, data.clips, seed=0, fps_scale=data.fps_scale, fresh=False)
        test = GestureDataset(
            spec.size, spec.fps, frames, data.test, seed=1, seeds=TEST_SEEDS, fps_scale=(1.0, 1.0), fresh=False
        )
        return Sets(
            self._kept("train", train, spec, frames, shuffled), None, self._kept("test", test, spec, frames, shuffled)
        )

    def _kept(self, what: str, data: GestureDataset, spec: SingleSpec, frames: int, shuffled: bool) -> Kept:
        name = f"{what}-{len(data)}x{frames}-{spec.size[0]}x{spec.size[1]}-{spec.fps:g}"
        key = name + ("-shuffled" if shuffled else "")
        if key not in self._sets:
            self._sets[key] = Kept(data, self.folder / f"{name}.npz", shuffled)
        return self._sets[key]


def digest(recipe: Recipe, shuffled: bool) -> str:
    """Of all that decides what a training comes to, but for its seed."""
    spec = new_spec(recipe, len(GESTURES))
    # What it starts from is called by recipe and seed, too; where it lies does not matter.
    start = recipe.init_from and Path(recipe.init_from).name
    plain = recipe_to_dict(replace(recipe, seed=0, network=spec.name, init_from=start)) | {"spec": spec.to_dict()}
    return blake2b(json.dumps([plain, shuffled], sort_keys=True).encode(), digest_size=6).hexdigest()


def compared(variant: Mapping[int, Outcome], reference: Mapping[int, Outcome]) -> str:
    """How many points a variant is ahead, with the 95 % interval over clips and seeds, and whether that tells."""
    if not variant or not reference:
        return "not run"
    first, second = (np.stack([outcome.hits for outcome in runs.values()]) for runs in (variant, reference))
    gap = paired_bootstrap(first.astype(float), second.astype(float), resamples=4000)
    told = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    if min(len(variant), len(reference)) < 2:
        return f"{told}; one seed: not resolved"
    return told if gap.low > 0 or gap.high < 0 else f"{told}: not resolved"


def mean_of(runs: Mapping[int, Outcome]) -> str:
    """The mean top-1 of seeds, and each."""
    if not runs:
        return "not run"
    each = ", ".join(f"{100 * outcome.top1:.1f}" for outcome in runs.values())
    return f"{100 * np.mean([outcome.top1 for outcome in runs.values()]):.1f} % ({each})"
