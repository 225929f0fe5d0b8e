"""Several networks whose logits are averaged before the softmax: A6 = A4 + A5, and temporal ensembles.

In a temporal ensemble two networks at half the frame rate take every other frame each, one frame apart (the paper,
section 3.3): the pair sees every frame for the cost of one network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.spec import EnsembleSpec, MemberSpec, Spec
from movinet.nn.movinet import MoViNet
from movinet.nn.state import FRAME_COUNT, State, select_streams


class Ensemble(nn.Module):
    """Networks that share a clip; called like one `MoViNet`.

    The clip comes at the ensemble's full rate and largest size. Every member takes its share of the frames (counted
    from the beginning of each stream), resized to its own size if that differs, and keeps its own state. A member that
    has seen no frame yet is left out of the mean.
    """

    def __init__(self, spec: EnsembleSpec) -> None:
        super().__init__()
        self.spec = spec
        self.members = nn.ModuleList(MoViNet(member.network) for member in spec.members)

    def forward(self, clip: Tensor, per_frame: bool = False) -> Tensor:
        """Classify a clip (B, 3, T, H, W): logits (B, classes), or (B, T, classes) with `per_frame`.

        Raises:
            ValueError: as `MoViNet.forward` does.
        """
        if self.spec.causal:
            if clip.ndim == 5 and clip.shape[2] == 0:
                raise ValueError("the clip has no frames")
            return self.step(clip, None, per_frame)[0]
        logits = []
        for member, network in self._pairs():
            mine = [t for t in range(clip.shape[2]) if member.takes(t)]
            if mine:
                logits.append(network(self._frames_for(member, clip[:, :, mine]), per_frame))
        if not logits:
            raise ValueError("the clip has no frames")
        return torch.stack(logits).mean(0)

    def step(self, frames: Tensor, state: State | None = None, per_frame: bool = False) -> tuple[Tensor, State]:
        """Go on with streams, as `MoViNet.step` does; streams of any age may share a batch."""
        if state is None:
            state = self.init_state(frames.shape[0], (frames.shape[3], frames.shape[4]), frames.dtype, frames.device)
        batch, count = frames.shape[0], frames.shape[2]
        ages = state[FRAME_COUNT].tolist()
        total = frames.new_zeros(batch, count if per_frame else 1, self.spec.classes)
        voters = torch.zeros(batch, total.shape[1], 1, device=frames.device)
        new_state = {FRAME_COUNT: state[FRAME_COUNT] + count}
        for i, (member, network) in enumerate(self._pairs()):
            past = _member_state(state, i)
            parts: dict[str, list[Tensor]] = {}
            order: list[int] = []
            # Streams that take the same frames of this call step together.
            groups: dict[tuple[int, ...], list[int]] = {}
            for stream, age in enumerate(ages):
                groups.setdefault(tuple(t for t in range(count) if member.takes(age + t)), []).append(stream)
            for mine, streams in groups.items():
                part = select_streams(past, streams)
                before, _ = network.step(self._frames_for(member, frames[streams][:, :, :0]), part)
                stepped, part = network.step(self._frames_for(member, frames[streams][:, :, list(mine)]), part, True)
                answers = torch.cat([before[:, None], stepped], dim=1)  # (S, 1 + taken, classes)
                # After frame t the member's answer is the one after the last frame it took.
                taken = [sum(m <= t for m in mine) for t in range(count)] if per_frame else [len(mine)]
                seen = (select_streams(past, streams)[FRAME_COUNT][:, None] + torch.tensor(taken)) > 0
                total[streams] += answers[:, taken] * seen[..., None]
                voters[streams] += seen[..., None].float()
                for key, value in part.items():
                    parts.setdefault(key, []).append(value)
                order += streams
            back = torch.tensor(order).argsort()
            new_state |= {f"members.{i}.{k}": torch.cat(v).index_select(0, back) for k, v in parts.items()}
        logits = total / voters.clamp(min=1).to(total.dtype)
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
            part = network.init_state(batch, self._size_for(member, size or self.spec.size), dtype, device)
            state.setdefault(FRAME_COUNT, torch.zeros_like(part[FRAME_COUNT]))
            state |= {f"members.{i}.{key}": value for key, value in part.items()}
        return state

    def reset_classifier(self, classes: int) -> None:
        """Put a new, untrained classifier for `classes` classes on every member."""
        for _, network in self._pairs():
            network.reset_classifier(classes)
        self.spec = self.spec.with_options(classes=classes)

    def _pairs(self) -> list[tuple[MemberSpec, MoViNet]]:
        networks = [network for network in self.members if isinstance(network, MoViNet)]
        return list(zip(self.spec.members, networks, strict=True))

    def _size_for(self, member: MemberSpec, size: tuple[int, int]) -> tuple[int, int]:
        """The member's share of a frame size: scaled as its own size is to the ensemble's."""
        mine, whole = member.network.size, self.spec.size
        return max(1, round(size[0] * mine[0] / whole[0])), max(1, round(size[1] * mine[1] / whole[1]))

    def _frames_for(self, member: MemberSpec, frames: Tensor) -> Tensor:
        size = self._size_for(member, (frames.shape[3], frames.shape[4]))
        if size == frames.shape[3:]:
            return frames
        batch, channels, count = frames.shape[:3]
        if batch * count == 0:
            return frames.new_zeros(batch, channels, count, *size)
        images = frames.transpose(1, 2).flatten(0, 1)
        images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        return images.unflatten(0, (batch, count)).transpose(1, 2)


def build(spec: Spec) -> MoViNet | Ensemble:
    """The network or ensemble a specification describes, with fresh weights."""
    return Ensemble(spec) if isinstance(spec, EnsembleSpec) else MoViNet(spec)


def _member_state(state: State, member: int) -> State:
    prefix = f"members.{member}."
    found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not found:
        raise ValueError(f"the state has nothing under {prefix!r}: it belongs to another network")
    return found
