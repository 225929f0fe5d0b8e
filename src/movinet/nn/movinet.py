"""The MoViNet: one network, fed a whole clip or its stream of frames in any cut."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movinet.arch.count import state_shapes
from movinet.arch.spec import NetworkSpec
from movinet.arch.step import DECAY, FRAME_COUNT, HEAD_POOL, POOL_WEIGHT
from movinet.nn.blocks import Bottleneck, ConvNormAct, Head, initialize
from movinet.nn.predict import predict
from movinet.nn.state import State
from movinet.nn.stream import StepContext
from movinet.nn.summary import summary
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo, fresh_info

MOST = 16.0  # no frame in [0, 1], or scaled and centered in any way that is usual, has such a value


class MoViNet(nn.Module):
    """A video classifier (Kondratyuk et al., arXiv 2103.11511), base or stream as its specification says.

    A clip is a stream that happens to be finished: a stream network gives the same logits for `model(clip)`, for one
    `step` with the whole clip and for any number of steps over its pieces (in `eval()`).

    In training on a CPU, in float32, kernels of our own take the place of torch's: the same numbers in less time, but
    gradients that cannot be differentiated again. `movinet.nn.fused_cpu.enabled = False` trains with torch's alone.
    """

    def __init__(self, spec: NetworkSpec, info: WeightsInfo | None = None) -> None:
        """A network with fresh parameters.

        Args:
            spec: what it is.
            info: what else is known of it (transform, labels, license); the official transform and no labels by
                default. It goes along with the network into the files saved of it.
        """
        super().__init__()
        self.info = replace(info, spec=spec) if info else fresh_info(spec)
        self._range_seen = False
        self.stem = ConvNormAct(3, spec.stem, spec, kernel=(3, 3), stride=2, activation=spec.activation)
        self.blocks = nn.ModuleList()
        places = spec.layers()
        for b in range(len(spec.blocks)):
            self.blocks.append(
                nn.ModuleList(Bottleneck(place, len(places), spec) for place in places if place.block == b)
            )
        self.head = Head(places[-1].outputs, spec)
        if not self.stem.weight.is_meta:  # no values to set, and trying imports torch's decompositions: a second
            initialize(self)

    @property
    def spec(self) -> NetworkSpec:
        """What the network is."""
        assert isinstance(self.info.spec, NetworkSpec)
        return self.info.spec

    @property
    def num_classes(self) -> int:
        """Logits a clip has; 0 without a classifier."""
        return self.spec.num_classes

    @property
    def num_features(self) -> int:
        """Channels of `forward_features`."""
        return self.spec.blocks[-1].channels

    @property
    def head_hidden_size(self) -> int:
        """Width of the vector the classifier sees (`forward_head(…, pre_logits=True)`, `embed`)."""
        return self.spec.hidden

    def forward(self, clip: Tensor, per_frame: bool = False) -> Tensor:
        """Classify a clip.

        Args:
            clip: (B, 3, T, H, W), floating point in [0, 1], T ≥ 1, any H and W.
            per_frame: the logits after every frame instead of the last; for stream networks.

        Returns:
            Logits (B, num_classes), or (B, T, num_classes) with `per_frame`. Without a classifier, what that would see:
            `hidden` numbers in their place.

        Raises:
            ValueError: the clip has another shape or type, or `per_frame` is asked of a base network.
        """
        if per_frame and not self.spec.causal:
            raise ValueError(f"{self.spec.name} is a base network: it answers for whole clips; use a stream network")
        features, context = self._clip_features(clip)
        means, _ = self.head.pool(features, context if per_frame else context.last(), None)
        return self.head(means if per_frame else means[:, 0])

    def step(self, frames: Tensor, state: State | None = None, per_frame: bool = False) -> tuple[Tensor, State]:
        """Go on with streams: the next frames and the past in, the answer and the new past out.

        Args:
            frames: (B, 3, T, H, W), floating point in [0, 1]; T may be 0, which changes nothing.
            state: of the B streams, from the last step or `init_state`; None begins new streams. Left untouched.
            per_frame: the logits after every frame instead of the last.

        Returns:
            Logits (B, num_classes), or (B, T, num_classes) with `per_frame`, and the state after the frames.

        Raises:
            ValueError: frames or state do not fit the network or each other, or the network is a base network.
        """
        check_frames(frames, "frames", self.stem.weight.dtype)
        self._check_range(frames)
        state = self._state_for(frames, state)
        if frames.shape[2] == 0:
            means = state[HEAD_POOL].to(self.head.hidden.weight.dtype)[:, None]
            return self.head(means[:, :0] if per_frame else means[:, 0]), dict(state)
        count = frames.shape[2]
        context = StepContext.from_state(state, count)
        features, past = self._features(frames, context, state)
        new_state = {**state, FRAME_COUNT: state[FRAME_COUNT] + count, POOL_WEIGHT: context.weight, **past}
        means, new_state[HEAD_POOL] = self.head.pool(
            features, context if per_frame else context.last(), state[HEAD_POOL]
        )
        return self.head(means if per_frame else means[:, 0]), new_state

    def forward_features(self, clip: Tensor) -> Tensor:
        """The feature map before the head, (B, C, T, h, w), of a clip (B, 3, T, H, W); h is H/32 in published ones."""
        features, context = self._clip_features(clip)
        return features.unflatten(0, (context.batch, context.frames)).transpose(1, 2)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """What `forward` makes of a clip's features.

        Args:
            features: (B, C, T, h, w) of whole clips, from `forward_features`.
            pre_logits: the vector the classifier sees instead of logits.

        Returns:
            Logits (B, num_classes), or (B, hidden) with `pre_logits`.
        """
        context = self._context(features.shape[0], features.shape[2], features.device).last()
        images = features.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        means, _ = self.head.pool(images, context, None)
        return self.head.embed(means[:, 0]) if pre_logits else self.head(means[:, 0])

    def embed(self, clip: Tensor) -> Tensor:
        """The vector the classifier sees, (B, hidden), for a clip (B, 3, T, H, W): features for other tasks."""
        features, context = self._clip_features(clip)
        means, _ = self.head.pool(features, context.last(), None)
        return self.head.embed(means[:, 0])

    def predict(self, clip: Tensor | NDArray[Any] | str | Path) -> list[Prediction]:
        """What clips show, in labels and probabilities; the network is left as it is, training or not.

        Args:
            clip: (B, 3, T, H, W) as `forward` takes it, on any device, or as an array; or a video's path,
                read by `info.transform`.

        Returns:
            One answer a clip.

        Raises:
            MovinetError: the network has no classifier, or the video cannot be read.
            ValueError: the clip has another shape or type.
        """
        return predict(self, self.info, clip)

    def get_classifier(self) -> nn.Linear | nn.Identity:
        """The last layer, from `hidden` numbers to logits; `nn.Identity` where there is none."""
        return self.head.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, untrained classifier on top; labels and figures of the old one are no longer those of `info`.

        Args:
            num_classes: how many; 0 for none, so that `forward` and `step` answer with what a classifier would see.
        """
        like = self.head.hidden.weight
        self.info = self.info.for_new_classifier(num_classes)
        if not num_classes:
            self.head.classifier = nn.Identity()
            return
        self.head.classifier = nn.Linear(self.spec.hidden, num_classes, device=like.device, dtype=like.dtype)
        nn.init.normal_(self.head.classifier.weight, std=0.01)
        nn.init.zeros_(self.head.classifier.bias)

    def init_state(
        self,
        batch: int = 1,
        size: tuple[int, int] | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> State:
        """The state of streams that have seen nothing. No forward pass is needed.

        Args:
            batch: number of streams.
            size: (height, width) of the frames to come; the specification's own by default.
            dtype: of the stream buffers; the network's own by default. Pools and counts keep theirs.
            device: the network's own by default.

        Raises:
            ValueError: the network is a base network, which has no state.
        """
        spec = self.spec
        if not spec.causal:
            raise ValueError(f"{spec.name} is a base network and cannot stream; use a stream network, or model(clip)")
        device = device if device is not None else self.stem.weight.device
        dtype = dtype or self.stem.weight.dtype
        state = {
            FRAME_COUNT: torch.zeros(batch, dtype=torch.int64, device=device),
            DECAY: torch.full((batch,), spec.decay, device=device),
            POOL_WEIGHT: torch.zeros(batch, device=device),
        }
        for key, shape in state_shapes(spec, size).items():
            if len(shape) == 4:
                channels, frames, height, width = shape
                buffer = torch.zeros(batch, frames, height, width, channels, dtype=dtype, device=device)
                state[key] = buffer.permute(0, 4, 1, 2, 3)  # channels last in memory, as the layers want it
            else:
                state[key] = torch.zeros(batch, *shape, device=device)
        return state

    def _clip_features(self, clip: Tensor) -> tuple[Tensor, StepContext]:
        """Images (B·T, C, h, w) before the head, of a whole clip."""
        check_frames(clip, "clip", self.stem.weight.dtype)
        if clip.shape[2] == 0:
            raise ValueError("the clip has no frames")
        self._check_range(clip)
        context = self._context(clip.shape[0], clip.shape[2], clip.device)
        return self._features(clip, context, {})[0], context

    def _check_range(self, frames: Tensor) -> None:
        """Refuse values far beyond the transform's range, such as 0…255, by the first frame.

        On other devices than the CPU only once: it waits for them.
        """
        if torch.compiler.is_compiling() or type(frames) is not Tensor or frames.is_meta or not frames.numel():
            return
        if frames.is_cpu or not self._range_seen:
            self._range_seen = True
            low, high = self.info.transform.scale
            if (most := frames[:, :, 0].amax().item()) > MOST * max(1.0, abs(low), abs(high)):
                raise ValueError(
                    f"values are in [{low:g}, {high:g}], but there is {most:g}: divide what goes to 255 by 255, or "
                    "prepare frames by `model.info.transform`"
                )

    def _context(self, batch: int, frames: int, device: torch.device) -> StepContext:
        """Of whole clips."""
        if self.spec.causal:
            return StepContext.initial(batch, frames, self.spec.decay, device)
        return StepContext.whole_clip(batch, frames, device)

    def _features(self, frames: Tensor, context: StepContext, past: State) -> tuple[Tensor, State]:
        """Images (B·T, C, h, w) before the head, and the layers' buffers and pools after the call.

        Of layers whose buffer the past lacks there is none afterwards.
        """
        after: State = {}
        x = (
            frames.permute(0, 2, 3, 4, 1).flatten(0, 1).contiguous().permute(0, 3, 1, 2)
        )  # (B·T, 3, H, W), channels last
        x = self.stem(x)
        for b, layers in enumerate(self.blocks):
            assert isinstance(layers, nn.ModuleList)
            for n, layer in enumerate(layers):
                buffer_key, pool_key = f"blocks.{b}.{n}.buffer", f"blocks.{b}.{n}.pool"
                x, buffer, pool = layer(x, context, past.get(buffer_key), past.get(pool_key))
                if buffer is not None:
                    after[buffer_key] = buffer
                if pool is not None:
                    after[pool_key] = pool
        return x, after

    def _state_for(self, frames: Tensor, state: State | None) -> State:
        """The given state, checked against the frames, or the beginning."""
        batch, size = frames.shape[0], (frames.shape[3], frames.shape[4])
        if state is None:
            return self.init_state(batch, size, frames.dtype, frames.device)
        if not self.spec.causal:
            raise ValueError(f"{self.spec.name} is a base network and cannot stream; use a stream network")
        per_stream: dict[str, tuple[int, ...]] = {FRAME_COUNT: (), DECAY: (), POOL_WEIGHT: ()}
        for key, shape in (per_stream | state_shapes(self.spec, size)).items():
            if key not in state:
                raise ValueError(f"the state has no {key!r}: it belongs to another network than {self.spec.name}")
            if state[key].shape != (batch, *shape):
                raise ValueError(
                    f"the state's {key!r} has shape {tuple(state[key].shape)}, but {(batch, *shape)} is needed for "
                    f"{batch} streams of {size[0]}×{size[1]} frames; a stream keeps its frame size and its place in "
                    "the batch (join_states and select_streams change the batch)"
                )
        return state

    def __repr__(self) -> str:
        return summary(self.info)


def check_frames(frames: Tensor, name: str, dtype: torch.dtype) -> None:
    """Refuse what a network of this dtype cannot take.

    Raises:
        ValueError: `frames`, called `name` in the message, has another shape or type.
    """
    if not isinstance(frames, Tensor):
        raise ValueError(f"{name} must be a tensor, not {type(frames).__name__}; torch.as_tensor makes one")
    if frames.ndim != 5 or frames.shape[1] != 3 or 0 in frames.shape[3:]:
        hint = _order_hint(frames.shape)
        raise ValueError(f"{name} must have shape (B, 3, T, H, W), got {tuple(frames.shape)}{hint}")
    if not frames.is_floating_point():
        raise ValueError(f"{name} must be floating point in [0, 1], got {frames.dtype}; divide uint8 by 255")
    if frames.dtype != dtype and not torch.is_autocast_enabled(frames.device.type):
        raise ValueError(f"{name} is {frames.dtype}, but the network is {dtype}; convert one with .to()")


def _order_hint(shape: Sequence[int]) -> str:
    """What to do about a clip whose axes are in an order that is common elsewhere."""
    if len(shape) == 5 and shape[4] == 3:
        return "; colors are last: permute(0, 4, 1, 2, 3)"
    if len(shape) == 5 and shape[2] == 3:
        return "; frames come before colors: transpose(1, 2)"
    if len(shape) == 4 and shape[1] == 3:
        return "; a frame of each stream is clip[:, :, None], one clip of frames clip.transpose(0, 1)[None]"
    if len(shape) == 4 and shape[0] == 3:
        return "; a batch of one is clip[None]"
    return ""
