"""Several networks whose logits are averaged before the softmax: A6 = A4 + A5, and temporal ensembles.

In a temporal ensemble two networks at half the frame rate take every other frame each, one frame apart (the paper,
section 3.3): the pair sees every frame for the cost of one network.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec
from movinet.arch.step import FRAME_COUNT
from movinet.nn.movinet import MoViNet, check_frames
from movinet.nn.predict import predict
from movinet.nn.state import State, join_states, select_streams
from movinet.nn.summary import summary
from movinet.prediction import Prediction
from movinet.runtime.resample import triangle_weights
from movinet.weights.info import WeightsInfo, fresh_info


class Ensemble(nn.Module):
    """Networks that share a clip; called like one `MoViNet`.

    The clip comes at the ensemble's full rate and largest size. Every member takes its share of the frames (counted
    from the beginning of each stream), resized to its own size if that differs, and keeps its own state. A member that
    has seen no frame yet is left out of the mean.
    """

    def __init__(self, spec: EnsembleSpec, info: WeightsInfo | None = None) -> None:
        """Networks with fresh parameters; `info` as of `MoViNet`."""
        super().__init__()
        self.info = replace(info, spec=spec) if info else fresh_info(spec)
        self.members = nn.ModuleList(MoViNet(member.network) for member in spec.members)

    @property
    def spec(self) -> EnsembleSpec:
        """What the ensemble is."""
        assert isinstance(self.info.spec, EnsembleSpec)
        return self.info.spec

    @property
    def num_classes(self) -> int:
        """Logits a clip has."""
        return self.spec.num_classes

    def forward(self, clip: Tensor, per_frame: bool = False) -> Tensor:
        """Classify a clip (B, 3, T, H, W): logits (B, num_classes), or (B, T, num_classes) with `per_frame`.

        Raises:
            ValueError: as `MoViNet.forward` does.
        """
        check_frames(clip, "clip", self._dtype)
        if clip.shape[2] == 0:
            raise ValueError("the clip has no frames")
        if self.spec.causal:
            return self.step(clip, None, per_frame)[0]
        logits = []
        for member, network in self._pairs():
            mine = [t for t in range(clip.shape[2]) if member.takes(t)]
            if mine:
                logits.append(network(self._frames_for(member, clip[:, :, mine]), per_frame))
        if not logits:
            raise ValueError(f"the clip's {clip.shape[2]} frames end before any member's first")
        return torch.stack(logits).mean(0)

    def step(self, frames: Tensor, state: State | None = None, per_frame: bool = False) -> tuple[Tensor, State]:
        """Go on with streams, as `MoViNet.step` does; streams of any age may share a batch.

        While no member has seen a frame of a stream, its logits are zero.
        """
        check_frames(frames, "frames", self._dtype)
        batch, _, count, *size = frames.shape
        if state is None:
            state = self.init_state(batch, (size[0], size[1]), frames.dtype, frames.device)
        if FRAME_COUNT not in state or state[FRAME_COUNT].shape != (batch,):
            raise ValueError(f"the state is not one of {batch} streams of {self.spec.name}")
        ages = state[FRAME_COUNT].tolist()
        total = frames.new_zeros(batch, count if per_frame else 1, self.spec.num_classes)
        votes = frames.new_zeros(batch, total.shape[1], 1)
        new_state = {FRAME_COUNT: state[FRAME_COUNT] + count}
        for i, (member, network) in enumerate(self._pairs()):
            past = _member_state(state, i)
            # Streams that take the same frames of this call step together.
            groups: dict[tuple[int, ...], list[int]] = {}
            for stream, age in enumerate(ages):
                groups.setdefault(tuple(t for t in range(count) if member.takes(age + t)), []).append(stream)
            parts = []
            for mine, streams in groups.items():
                part = past if len(groups) == 1 else select_streams(past, streams)
                taken = self._frames_for(member, frames[streams][:, :, list(mine)])
                # After frame t the member's answer is the one after the last frame it took.
                numbers = [sum(m <= t for m in mine) for t in range(count)] if per_frame else [len(mine)]
                voted = part[FRAME_COUNT][:, None] + torch.tensor(numbers, device=frames.device) > 0
                if per_frame:
                    before, _ = network.step(taken[:, :, :0], part)
                    stepped, part = network.step(taken, part, per_frame=True)
                    answers = torch.cat([before[:, None], stepped], dim=1)[:, numbers]
                else:
                    answer, part = network.step(taken, part)
                    answers = answer[:, None]
                total[streams] += answers * voted[..., None]
                votes[streams] += voted[..., None]
                parts.append(part)
            after = parts[0] if parts else past
            if len(parts) > 1:
                order = torch.tensor([stream for streams in groups.values() for stream in streams])
                after = select_streams(join_states(parts), order.argsort())
            new_state |= {f"members.{i}.{key}": value for key, value in after.items()}
        logits = total / votes.clamp(min=1)
        return (logits if per_frame else logits[:, 0]), new_state

    def init_state(
        self,
        batch: int = 1,
        size: tuple[int, int] | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> State:
        """The state of streams that have seen nothing; see `MoViNet.init_state`."""
        state: State = {}
        for i, (member, network) in enumerate(self._pairs()):
            part = network.init_state(batch, self.spec.member_size(member, size or self.spec.size), dtype, device)
            state.setdefault(FRAME_COUNT, torch.zeros_like(part[FRAME_COUNT]))
            state |= {f"members.{i}.{key}": value for key, value in part.items()}
        return state

    def predict(self, clip: Tensor | NDArray[Any] | str | Path) -> list[Prediction]:
        """What clips show, in labels and probabilities; see `MoViNet.predict`."""
        return predict(self, self.info, clip)

    def get_classifier(self) -> nn.ModuleList:
        """The last layer of every member."""
        return nn.ModuleList(network.get_classifier() for _, network in self._pairs())

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, untrained classifier on every member; see `MoViNet.reset_classifier`.

        Raises:
            SpecError: `num_classes` is 0: there is nothing to average without classifiers.
        """
        info = self.info.for_new_classifier(num_classes)
        for _, network in self._pairs():
            network.reset_classifier(num_classes)
        self.info = info

    def __repr__(self) -> str:
        return summary(self.info)

    def _pairs(self) -> list[tuple[MemberSpec, MoViNet]]:
        networks = [network for network in self.members if isinstance(network, MoViNet)]
        return list(zip(self.spec.members, networks, strict=True))

    @property
    def _dtype(self) -> torch.dtype:
        return self._pairs()[0][1].stem.weight.dtype

    def _frames_for(self, member: MemberSpec, frames: Tensor) -> Tensor:
        size = self.spec.member_size(member, (frames.shape[3], frames.shape[4]))
        if size == frames.shape[3:]:
            return frames
        batch, channels, count = frames.shape[:3]
        if batch * count == 0:
            return frames.new_zeros(batch, channels, count, *size)
        # By matrices, as `movinet.runtime.resample` does: PyTorch 2.13 makes zeros of results one pixel wide.
        rows, columns = (
            torch.from_numpy(triangle_weights(before, after)).to(frames.device)
            for before, after in zip(frames.shape[3:], size, strict=True)
        )
        return (rows @ frames.float() @ columns.T).to(frames.dtype)


def build(spec: NetworkSpec | EnsembleSpec, info: WeightsInfo | None = None) -> MoViNet | Ensemble:
    """The network or ensemble a specification describes, with fresh weights; `info` as of `MoViNet`."""
    return Ensemble(spec, info) if isinstance(spec, EnsembleSpec) else MoViNet(spec, info)


def _member_state(state: State, member: int) -> State:
    prefix = f"members.{member}."
    found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not found:
        raise ValueError(f"the state has nothing under {prefix!r}: it belongs to another network")
    return found
