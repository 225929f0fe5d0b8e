"""Frames in, labels out: a network with its weights, its preprocessing and the state of one stream."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.arch.spec import EnsembleSpec, Spec
from movinet.errors import MovinetError, WeightsError
from movinet.files import write_atomically
from movinet.nn.fold import fold
from movinet.nn.state import FRAME_COUNT, State, decay_from_seconds
from movinet.prediction import Prediction
from movinet.video.decode import read_clip, read_frames
from movinet.video.timing import Pace
from movinet.weights.download import Progress
from movinet.weights.load import Loaded, load_weights, with_position_limits

_STATE_KEY = "movinet_state"


class Recognizer:
    """Recognises what happens in one stream of frames.

    >>> recognizer = Recognizer.load("movinet_t0_stream.gestures")
    >>> for prediction in recognizer.stream("clip.mp4"): print(prediction.time, prediction.label)

    Streams of a base network do not exist; it only answers for whole clips (`classify`).
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        memory: float | None = None,
        on_gap: Literal["reset", "continue"] = "reset",
        max_gap: float = 2.0,
    ) -> None:
        """Take a loaded network into use; `Recognizer.load` does both.

        Args:
            loaded: a network and what is known of its weights.
            device: where it runs.
            dtype: of its weights and activations.
            memory: seconds after which a frame's weight in the answer has fallen to 1/e; None never forgets, which is
                right for clips and wrong for a camera that runs all day.
            on_gap: what `push` does when frames were missing for more than `max_gap` seconds, or time ran backwards.
            max_gap: seconds; three of the network's frames at least.
        """
        if on_gap not in ("reset", "continue"):
            raise ValueError(f"on_gap is {on_gap!r}; choose 'reset' or 'continue'")
        self.info = loaded.info
        self.model = fold(loaded.model).to(device=device, dtype=dtype)
        self.device, self.dtype = torch.device(device), dtype
        self._period = 1.0 / self.info.transform.fps
        self._pace = Pace(self.info.transform.fps, max_gap)
        self.memory, self.on_gap, self.max_gap = memory, on_gap, self._pace.max_gap
        self._state: State | None = None

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        labels: str | Path | None = None,
        options: dict[str, Any] | None = None,
        offline: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        memory: float | None = None,
        on_gap: Literal["reset", "continue"] = "reset",
        max_gap: float = 2.0,
        progress: Progress | None = None,
    ) -> Self:
        """Load weights by name or file (see `load_weights`) and take them into use (see `Recognizer`).

        Positions that training never saw carry no meaning, so positional encodings stop at the training length.
        """
        loaded = load_weights(source, labels=labels, options=options, offline=offline, progress=progress)
        return cls(
            with_position_limits(loaded), device=device, dtype=dtype, memory=memory, on_gap=on_gap, max_gap=max_gap
        )

    def push(self, rgb: NDArray[np.uint8], time: float | None = None) -> Prediction | None:
        """Show the network the stream's next frame.

        Args:
            rgb: (H, W, 3) uint8, in RGB order (OpenCV gives BGR: pass `frame[..., ::-1]`); any size, the same for the
                whole stream or not.
            time: seconds, of this frame. Frames may come at any rate: the network takes those due at its own. Without
                times every frame is taken.

        Returns:
            What the network thinks now, or None if this frame was not due yet.

        Raises:
            ValueError: the frame has another type or shape.
            MovinetError: the network is a base network, which has no streams.
        """
        self._need_stream()
        if time is not None:
            if self.on_gap == "reset" and self._pace.is_gap(time):
                self.reset()
            if not self._pace.is_due(time):
                return None
        frames = self.info.transform(rgb)[None].to(self.device, self.dtype)  # (1, 3, 1, h, w)
        with torch.inference_mode():
            logits, self._state = self.model.step(frames, self._state or self._fresh_state())
        seen = int(self._state[FRAME_COUNT][0])
        return self._prediction(logits[0], time if time is not None else (seen - 1) * self._period, seen)

    def stream(self, path: str | Path, start: float = 0.0, end: float | None = None) -> Iterator[Prediction]:
        """Recognise a video file or image folder frame by frame, from its beginning, in constant memory.

        Raises:
            VideoError: it cannot be read.
            MovinetError: the network is a base network.
        """
        self._need_stream()
        self.reset()
        for frame in read_frames(path, fps=self.info.transform.fps, start=start, end=end):
            prediction = self.push(frame.rgb)
            assert prediction is not None
            yield Prediction(frame.time, prediction.frames, prediction.probabilities, self.info)

    def classify(self, path: str | Path, start: float = 0.0, end: float | None = None) -> Prediction:
        """What a whole video shows. A stream network keeps memory constant, a base network holds the clip.

        Raises:
            VideoError: it cannot be read.
        """
        if self.info.spec.causal:
            prediction = None
            for prediction in self.stream(path, start, end):  # noqa: B007
                pass
            assert prediction is not None
            return prediction
        clip = read_clip(path, self.info.transform, start, end)
        with torch.inference_mode():
            logits = self.model(clip[None].to(self.device, self.dtype))
        return self._prediction(logits[0], (clip.shape[1] - 1) * self._period, clip.shape[1])

    def reset(self) -> None:
        """Forget the stream: the next frame is its first."""
        self._state = None
        self._pace.restart()

    def save_state(self, path: str | Path) -> None:
        """Write the stream's state to a file, whole or not at all; `restore_state` goes on from it.

        Raises:
            MovinetError: no frame was seen yet, or the file cannot be written.
        """
        from safetensors.torch import save

        if self._state is None:
            raise MovinetError("there is no state to save: the stream has not begun")
        tensors = {key: value.contiguous().cpu() for key, value in self._state.items()}
        data = save(tensors, metadata={_STATE_KEY: self._weights_hash()})
        write_atomically(path, data)

    def restore_state(self, path: str | Path) -> None:
        """Go on with a stream saved by `save_state` with the same weights.

        Raises:
            WeightsError: the file cannot be read, or belongs to other weights.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get(_STATE_KEY) != self._weights_hash():
                    raise WeightsError(f"{path}: the state was saved with other weights than {self.info.name}")
                state = {key: file.get_tensor(key).to(self.device) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: cannot read the state: {error}") from error
        self._state = state
        self._pace.restart()

    def _fresh_state(self) -> State:
        state = self.model.init_state(1, self.info.transform.size, self.dtype, self.device)
        if self.memory is not None:
            for key, gamma in _decays(self.info.spec, self.memory).items():
                state[key].fill_(gamma)
        return state

    def _prediction(self, logits: torch.Tensor, time: float, frames: int) -> Prediction:
        logits = logits.float()
        probabilities = logits.sigmoid() if self.info.multi_label else logits.softmax(-1)
        return Prediction(time, frames, probabilities.cpu().numpy(), self.info)

    def _need_stream(self) -> None:
        if not self.info.spec.causal:
            raise MovinetError(
                f"{self.info.name} is a base network: it sees whole clips only; take a stream network to watch frames"
            )

    def _weights_hash(self) -> str:
        digest = hashlib.sha256()
        for key, value in self.model.state_dict().items():
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _decays(spec: Spec, seconds: float) -> dict[str, float]:
    """The state entries that hold γ, with the γ of this memory at each network's own rate."""
    if isinstance(spec, EnsembleSpec):
        return {
            f"members.{i}.decay": decay_from_seconds(seconds, spec.fps * float(member.rate))
            for i, member in enumerate(spec.members)
        }
    return {"decay": decay_from_seconds(seconds, spec.fps)}
