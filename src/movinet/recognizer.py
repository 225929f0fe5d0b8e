"""Frames in, labels out: a network with its weights, its preprocessing and the state of one stream."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.prediction import Prediction
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.engine import Engine, Logits, Mode, can_forget, forgetting
from movinet.runtime.exported import ExportedNetwork
from movinet.runtime.factory import EngineKind, create_engine
from movinet.runtime.open_network import open_network
from movinet.runtime.state_file import read_state, write_state
from movinet.video.container import Source
from movinet.video.decode import read_clip, read_frames
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer
from movinet.video.sources import DEFAULT_LIMITS, Limits
from movinet.video.transform import scale_levels
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from movinet.weights.download import Progress


class Recognizer:
    """Recognises what happens in one stream of frames.

    >>> recognizer = Recognizer.load("movinet_t0_stream.gestures")
    >>> for prediction in recognizer.stream("clip.mp4"): print(prediction.time, prediction.label)

    Streams of a base network do not exist; it only answers for whole clips (`classify`).
    """

    def __init__(
        self,
        network: Weights | ExportedNetwork,
        *,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        memory: float | None = None,
        on_gap: Literal["reset", "continue"] = "reset",
        max_gap: float = 2.0,
        cache: bool = True,
    ) -> None:
        """Take a network into use; `Recognizer.load` finds it, too.

        Args:
            network: weights (`Weights.of(model)` makes them of a network in PyTorch), or an exported network.
            engine: what runs the network: "auto" takes the quickest that is installed. Base networks run on "torch",
                which "auto" takes for them, "openvino" and "onnx".
            precision: what it computes in; not every engine has every one. "fast" takes the quickest the processor has.
            threads: of the processor, where the engine is not torch's; all by default.
            device: where the engines of torch run.
            memory: seconds after which a frame's weight in the answer has fallen to 1/e; None never forgets, which is
                right for clips and wrong for a camera that runs all day.
            on_gap: what `push` does when frames were missing for more than `max_gap` seconds, or time ran backwards.
            max_gap: seconds; three of the network's frames at least.
            cache: keep what an engine makes of the weights for the next start.
        """
        if on_gap not in ("reset", "continue"):
            raise ValueError(f"on_gap is {on_gap!r}; choose 'reset' or 'continue'")
        self.network, self.info = network, network.info
        self._engine: Engine[Any] | None = None
        if self.info.spec.causal:
            size = self.info.transform.size
            self._engine = create_engine(
                network, engine, size=size, precision=precision, threads=threads, device=device, cache=cache
            )
            if self._engine.streams != 1:
                raise MovinetError(
                    f"{self.info.name} was exported for {self._engine.streams} streams at once: take a StreamPool"
                )
            self._batch = self._engine.begin()
            self._beginning = self._engine.take(self._batch, 0)
        else:
            self._run_clips = create_clip_engine(network, engine, precision=precision, threads=threads, device=device)
        self._period = 1.0 / self.info.transform.fps
        self._pacer = LivePacer(self.info.transform.fps, max_gap)
        self.on_gap, self.max_gap = on_gap, self._pacer.max_gap
        self.memory = memory
        self._seen = 0  # frames of the stream

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        labels: str | Path | None = None,
        options: dict[str, Any] | None = None,
        offline: bool = False,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        memory: float | None = None,
        on_gap: Literal["reset", "continue"] = "reset",
        max_gap: float = 2.0,
        cache: bool = True,
        progress: "Progress | None" = None,
    ) -> Self:
        """Find a network by name, file or folder (see `open_network`) and take it into use (see `Recognizer`)."""
        network = open_network(source, labels=labels, options=options, offline=offline, progress=progress)
        return cls(
            network,
            engine=engine,
            precision=precision,
            threads=threads,
            device=device,
            memory=memory,
            on_gap=on_gap,
            max_gap=max_gap,
            cache=cache,
        )

    @property
    def engine(self) -> Engine[Any]:
        """What runs the stream.

        Raises:
            MovinetError: the network is a base network, which has no streams.
        """
        if self._engine is None:
            raise MovinetError(
                f"{self.info.name} is a base network: it sees whole clips only; take a stream network to watch frames"
            )
        return self._engine

    @property
    def memory(self) -> float | None:
        """Seconds after which a frame hardly counts any more, of streams that begin after it was set.

        Raises:
            ValueError: when set: the seconds are not positive.
            MovinetError: when set: a base network has no streams, and somebody else's file never forgets.
        """
        return self._memory

    @memory.setter
    def memory(self, seconds: float | None) -> None:
        if seconds is not None:
            forgetting(self.engine, self.info.spec, seconds)
        self._memory = seconds

    @property
    def can_forget(self) -> bool:
        """Whether `memory` can be set.

        Raises:
            MovinetError: the network is a base network.
        """
        return can_forget(self.engine, self.info.spec)

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
            ValueError: the frame has another type or shape, or its time is no number.
            MovinetError: the network is a base network, which has no streams.
        """
        _ = self.engine
        if time is not None:
            if self.on_gap == "reset" and self._pacer.is_gap(time):
                self.reset()
            if not self._pacer.is_due(time):
                return None
        logits = self._step(self.info.transform.images(rgb))
        assert logits is not None
        when = time if time is not None else (self._seen - 1) * self._period
        return Prediction.of_logits(logits[0], when, self._seen, self.info)

    def stream(
        self, path: Source, start: float = 0.0, end: float | None = None, *, limits: Limits = DEFAULT_LIMITS
    ) -> Iterator[Prediction]:
        """Recognise a video file or image folder frame by frame, from its beginning, in constant memory.

        Args:
            path: a video, one of its tracks, an image folder, or an address.
            start: seconds.
            end: seconds, exclusive.
            limits: what the video may make this process do.

        Raises:
            VideoError: it cannot be read.
            MovinetError: the network is a base network.
        """
        _ = self.engine  # a base network is refused before the file is looked for
        self.reset()
        for frame in read_frames(path, fps=self.info.transform.fps, start=start, end=end, limits=limits):
            logits = self._see(frame)
            assert logits is not None
            yield Prediction.of_logits(logits[0], frame.time, self._seen, self.info)

    def classify(
        self,
        path: Source,
        start: float = 0.0,
        end: float | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        progress: "Progress | None" = None,
    ) -> Prediction:
        """What a whole video shows. A stream network keeps memory constant, a base network holds the clip.

        Args:
            path, start, end, limits: as in `stream`.
            progress: called with the frames a stream network has seen, and None.

        Raises:
            VideoError: it cannot be read.
        """
        if self.info.spec.causal:
            self.reset()
            frames = read_frames(path, fps=self.info.transform.fps, start=start, end=end, limits=limits)
            last = next(frames)
            for frame in frames:
                self._see(last, predict=False)  # the head is a third of A0's step
                last = frame
                if progress:
                    progress(self._seen, None)
            logits = self._see(last)
            assert logits is not None
            return Prediction.of_logits(logits[0], last.time, self._seen, self.info)
        clip = read_clip(path, self.info.transform, start, end)
        logits = self._run_clips(clip[None])
        last = (clip.shape[1] - 1) * self._period
        return Prediction.of_logits(logits[0], last, clip.shape[1], self.info)

    def reset(self) -> None:
        """Forget the stream: the next frame is its first."""
        self._seen = 0
        self._pacer.restart()

    def save_state(self, path: str | Path) -> None:
        """Write the stream's state to a file, whole or not at all; `restore_state` goes on from it.

        Raises:
            MovinetError: no frame was seen yet, or the file cannot be written.
        """
        if self._seen == 0:
            raise MovinetError("there is no state to save: the stream has not begun")
        names = [port.name for port in self.engine.signature.state]
        arrays = dict(zip(names, self.engine.take(self._batch, 0), strict=True))
        write_state(path, arrays, self._seen, self.network.hash)

    def restore_state(self, path: str | Path) -> None:
        """Go on with a stream saved by `save_state` with the same weights.

        Raises:
            WeightsError: the file cannot be read, belongs to other weights, was saved by an engine that holds its past
                in another form, or holds what no stream can.
        """
        engine = self.engine
        arrays, seen = read_state(path, engine.signature.state, self.network.hash, engine.kind)
        engine.put(self._batch, 0, arrays)
        self._seen = seen
        self._pacer.restart()

    def _see(self, frame: Frame, predict: bool = True) -> Logits | None:
        """Show the network a frame that is due."""
        transform = self.info.transform
        return self._step(scale_levels(frame.levels(transform)[None], transform.scale), predict)

    def _step(self, images: NDArray[np.float32], predict: bool = True) -> Logits | None:
        if self._seen == 0:
            self._begin()
        logits = self.engine.step(images, self._batch, predict)
        self._seen += 1
        return logits

    def _begin(self) -> None:
        stream = [array.copy() for array in self._beginning]
        if self.memory is not None:
            forget = forgetting(self.engine, self.info.spec, self.memory)
            for port, array in zip(self.engine.signature.state, stream, strict=True):
                if port.name in forget:
                    array[...] = forget[port.name]
        self.engine.put(self._batch, 0, stream)
