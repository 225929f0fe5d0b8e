"""The past of live streams: a flat dictionary of tensors, the stream always the first axis.

Joining streams of any age is `join_states`, taking some out is `select_streams`, starting some anew is
`reset_streams`; nothing about a stream is kept anywhere else.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from movinet.arch.step import DECAY, FRAME_COUNT

State = dict[str, Tensor]

# Beside the layers' own entries there are, each (B,):
#   FRAME_COUNT  int64, frames the stream has seen
#   DECAY        float32, its γ; a setting, so a reset leaves it alone
#   POOL_WEIGHT  float32, Σ γ^i over the frames seen, the weight behind every pooled mean


def reset_streams(state: State, streams: Tensor | Sequence[int]) -> State:
    """The state with some streams back at their beginning; the others and every decay stay as they are, to the bit.

    Args:
        state: of B streams.
        streams: which to reset: a bool mask (B,) or indices.
    """
    keep = torch.ones_like(state[FRAME_COUNT], dtype=torch.bool)
    keep[_indices(state, streams)] = False
    # Not masked_fill, nor index_select below: those would lose the buffers' channels-last memory.
    return {
        key: value if _is_setting(key) else value.where(keep.view(-1, *[1] * (value.ndim - 1)), 0)
        for key, value in state.items()
    }


def join_states(states: Sequence[State]) -> State:
    """One state of all the streams, in order; the streams may be of any age."""
    if not states:
        raise ValueError("there are no states to join")
    for state in states[1:]:
        for key in states[0].keys() | state.keys():
            if key not in state or key not in states[0] or state[key].shape[1:] != states[0][key].shape[1:]:
                raise ValueError(f"the states belong to different networks or frame sizes: they differ in {key!r}")
    return {key: torch.cat([state[key] for state in states]) for key in states[0]}


def select_streams(state: State, streams: Tensor | Sequence[int]) -> State:
    """The state of some streams, by index (in the order given) or bool mask."""
    index = _indices(state, streams)
    return {key: value[index] for key, value in state.items()}


def split_state(state: State) -> list[State]:
    """One state for each stream; `join_states` puts them together again."""
    return [{key: value[i : i + 1] for key, value in state.items()} for i in range(batch_size(state))]


def detach_state(state: State) -> State:
    """The state without its gradient history, as recurrent training over sub-clips wants it."""
    return {key: value.detach() for key, value in state.items()}


def set_decay(state: State, decay: float | Tensor) -> State:
    """The state with another γ in (0, 1]: one for all streams, or one each (B,)."""
    gamma = torch.as_tensor(decay, dtype=torch.float32, device=state[FRAME_COUNT].device)
    if not bool(((gamma > 0) & (gamma <= 1)).all()):
        raise ValueError(f"a decay lies in (0, 1], got {decay}")
    return {k: gamma.expand_as(v).clone() if _is_setting(k) else v for k, v in state.items()}


def batch_size(state: State) -> int:
    """How many streams the state holds."""
    return state[FRAME_COUNT].shape[0]


def _indices(state: State, streams: Tensor | Sequence[int]) -> Tensor:
    """Stream numbers from a bool mask or indices, checked against the state."""
    batch = batch_size(state)
    index = torch.as_tensor(streams, device=state[FRAME_COUNT].device)
    if index.dtype == torch.bool:
        if index.shape != (batch,):
            raise ValueError(f"the mask has shape {tuple(index.shape)}, the state holds {batch} streams")
        return index.nonzero()[:, 0]
    index = index.long().reshape(-1)
    if not bool(((index >= 0) & (index < batch)).all()):
        raise ValueError(f"there are streams 0 to {batch - 1}, not {index.tolist()}")
    return index


def _is_setting(key: str) -> bool:
    return key.rpartition(".")[2] == DECAY
