"""Train the bundled gesture network on synthetic clips alone. A short, plain script for provisional weights.

    python scripts/train_gestures.py --minutes 40 --out gestures.safetensors

Clips are rendered while training, each seen once. Labels alone teach the network nothing for thousands of clips: with
every mean taken over the whole picture, it must find a small moving hand by itself. So two auxiliary layers, thrown
away afterwards, learn to tell from its features where the fingertip is and where it goes; the renderer knows.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.data.synthetic import GESTURES, render_gesture
from movinet.nn.movinet import MoViNet
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.safetensors_file import save_weights

SIZE = (64, 80)
FPS = 5.0
FRAMES_PER_BATCH = 256  # clips of one length share a batch; longer clips, fewer of them
LENGTHS = (10, 16, 24)
FIRST_TEST_SEED = 10**9
READ_AT = {(3, 3): (4, 5), (4, 3): (2, 3)}  # block and layer: size of its maps at SIZE


class Batches(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless batches of fresh clips: (B, 3, T, H, W) uint8, labels (B,) and fingertips (B, T, 2)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for batch in range(number, 10**9, step):
            rng = np.random.default_rng((self.seed, batch))
            frames = int(rng.choice(LENGTHS))
            labels = rng.integers(len(GESTURES), size=FRAMES_PER_BATCH // frames)
            clips = [
                render_gesture(
                    GESTURES[label], int(rng.integers(FIRST_TEST_SEED)), SIZE, frames, FPS * rng.uniform(0.75, 1.4)
                )
                for label in labels
            ]
            images = torch.from_numpy(np.stack([clip.frames for clip in clips])).permute(0, 4, 1, 2, 3)
            fingertips = torch.from_numpy(np.stack([clip.fingertip for clip in clips]))
            yield images, torch.from_numpy(labels), fingertips


class FingertipLoss(torch.nn.Module):
    """Where the fingertip is and how it moved since the frame before, read off the features of one layer."""

    def __init__(self, layer: torch.nn.Module, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.read = torch.nn.Linear(channels * size[0] * size[1], 4)
        self.features: Tensor | None = None
        layer.register_forward_hook(self._keep)

    def _keep(self, layer: torch.nn.Module, inputs: object, outputs: tuple[Tensor, ...]) -> None:
        self.features = outputs[0]

    def forward(self, fingertips: Tensor) -> Tensor:  # (B, T, 2) in fractions of the picture
        assert self.features is not None
        found = self.read(self.features.flatten(1)).unflatten(0, fingertips.shape[:2])  # (B, T, 4)
        motion = F.pad(fingertips[:, 1:] - fingertips[:, :-1], (0, 0, 1, 0))
        wanted = torch.cat([fingertips.clamp(-0.2, 1.2) - 0.5, 5 * motion.clamp(-0.3, 0.3)], dim=-1)
        return F.smooth_l1_loss(found, wanted, beta=0.1)


def train(model: MoViNet, minutes: float, workers: int, seed: int, rate: float) -> int:
    """Train for so many minutes with one cosine cycle over them; returns the clips seen."""
    extra = torch.nn.ModuleList(
        FingertipLoss(model.get_submodule(f"blocks.{b}.{n}"), model.spec.blocks[b].channels, size)
        for (b, n), size in READ_AT.items()
    )
    decayed = [p for p in [*model.parameters(), *extra.parameters()] if p.ndim > 1]
    others = [p for p in [*model.parameters(), *extra.parameters()] if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=rate
    )
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    begin, seen, log = time.monotonic(), 0, []
    for step, (clips, labels, fingertips) in enumerate(DataLoader(Batches(seed), batch_size=None, num_workers=workers)):
        done = (time.monotonic() - begin) / (60 * minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * done))
        logits = model(clips.float() / 255)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
        tip_loss = sum((read(fingertips) for read in extra), torch.zeros(()))
        optimizer.zero_grad()
        (loss + 3 * tip_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        averaged.update_parameters(model)
        seen += len(labels)
        log.append((loss.item(), tip_loss.item(), (logits.argmax(1) == labels).float().mean().item()))
        if step % 50 == 49:
            means = np.mean(log[-50:], axis=0)
            print(
                f"{done:6.1%}  {seen:7} clips  loss {means[0]:.3f}  fingertip {means[1]:.4f}  top-1 {means[2]:.1%}",
                flush=True,
            )
    model.load_state_dict(averaged.module.state_dict())
    return seen


@torch.inference_mode()
def accuracy(model: MoViNet, clips_per_class: int) -> float:
    """Top-1 over fresh clips of four seconds, streamed frame by frame."""
    right = 0
    for number, label in enumerate(GESTURES):
        for n in range(clips_per_class):
            clip = render_gesture(label, FIRST_TEST_SEED + n, SIZE, round(4 * FPS), FPS)
            state = None
            for frame in clip.frames:
                image = torch.from_numpy(frame).permute(2, 0, 1)[None, :, None].float() / 255
                logits, state = model.step(image, state)
            right += int(logits.argmax()) == number
    return right / (clips_per_class * len(GESTURES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-clips", type=int, default=20, help="per gesture")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    spec = network_spec("movinet_t0_stream")
    assert isinstance(spec, NetworkSpec)
    spec = spec.with_options(
        classes=len(GESTURES),
        size=SIZE,
        fps=FPS,
        frames=24,
        hidden=512,
        stochastic_depth=0.0,
        gate="hard_sigmoid_torch",
    )
    model = MoViNet(spec).train()
    for name, parameter in model.named_parameters():
        if name.endswith(".scale"):
            torch.nn.init.constant_(parameter, 0.2)  # at ReZero's zero the network sees no motion to begin with
    seen = train(model, args.minutes, args.workers, args.seed, args.rate)
    top1 = accuracy(model.eval(), args.test_clips)
    notes = f"provisional: {seen} synthetic clips, {args.minutes:g} minutes on two cores"
    info = WeightsInfo(
        name="movinet_t0_stream.gestures",
        spec=spec,
        transform=Transform(size=SIZE, resize_short=SIZE[0], fps=FPS),
        labels=GESTURES,
        licence="Apache-2.0",
        source="scripts/train_gestures.py, on synthetic air gestures alone",
        accuracy={"top-1, fresh synthetic clips": round(100 * top1, 2)},
        notes=notes,
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, model.state_dict(), info, half=True)
    print(f"{args.out}: {notes}; top-1 over {args.test_clips * len(GESTURES)} fresh clips {top1:.1%}")


if __name__ == "__main__":
    main()
