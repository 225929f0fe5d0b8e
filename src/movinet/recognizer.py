"""Frames in, labels out: a network with its weights, its preprocessing, and streams that share its engine."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from movinet.errors import BatchError, MovinetError
from movinet.events import Event, EventDetector, detector_of
from movinet.prediction import Prediction, check_classifier
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.engine import Engine, Mode, can_forget, live_memory
from movinet.runtime.exported import ExportedNetwork
from movinet.runtime.factory import EngineKind, create_engine
from movinet.runtime.images import Image
from movinet.runtime.open_network import open_network
from movinet.runtime.seat import Network
from movinet.runtime.session import OnGap, Session
from movinet.runtime.solo import Solo
from movinet.runtime.whole_video import array_frames, held_clip, stream_answer
from movinet.video.decode import read_frames
from movinet.video.frame import Frame
from movinet.video.locations import Member, Source, Track
from movinet.video.net.login import Address
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.transform import HasArray
from movinet.weights.registry import DEFAULT_MODEL
from movinet.weights.weights import Weights
from movinet.words import CalledElsewhere

if TYPE_CHECKING:
    from movinet.weights.download import Progress


class Recognizer:
    """Recognizes what happens in videos, and in streams of frames.

    >>> recognizer = Recognizer.load("movinet_t0_stream.gestures")
    >>> print(recognizer("clip.mp4").label)
    >>> for prediction in recognizer.stream("clip.mp4"): print(prediction.time, prediction.label)

    Every video is a stream of its own, and so is everything that is pushed (`push`); `session` gives more. They share
    one engine, and calls from several threads wait for each other. Streams of a base network do not exist; it only
    answers for whole clips.
    """

    if not TYPE_CHECKING:
        from_pretrained = CalledElsewhere("Recognizer.load(name or file)")
        predict = CalledElsewhere("recognizer(video), or recognizer.stream(video) frame by frame")

    def __init__(
        self,
        network: Weights | ExportedNetwork,
        *,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        memory: float | None = None,
        on_gap: OnGap = "reset",
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
            memory: seconds after which a frame's weight in the answer has fallen to 1/e, infinity for never; None: as
                the network was trained, which as a rule never forgets: right for clips and wrong for a camera that runs
                all day.
            on_gap: what a stream does when frames were missing for more than `max_gap` seconds, or time ran backwards.
            max_gap: seconds; three of the network's frames at least.
            cache: keep what an engine makes of the weights for the next start.
        """
        if isinstance(network, str | Path):
            raise TypeError(f"Recognizer takes weights; by name or file it is Recognizer.load({str(network)!r})")
        if on_gap not in ("reset", "continue"):
            raise ValueError(f"on_gap is {on_gap!r}; choose 'reset' or 'continue'")
        check_classifier(network.info)
        self.info = network.info
        self.on_gap, self.max_gap, self._memory = on_gap, max_gap, memory
        self.network: Network = network
        """What runs; of a stream network's weights all but the arrays, of which the engine has its own."""
        self._solo: Solo | None = None
        self._session: Session | None = None
        transform = self.info.transform
        if self.info.spec.causal:
            runner = create_engine(
                network, engine, size=transform.size, precision=precision, threads=threads, device=device, cache=cache
            )
            if runner.streams != 1:
                raise MovinetError(
                    f"{self.info.name} was exported for {runner.streams} streams at once: take a StreamPool"
                )
            self.network = network.identity if isinstance(network, Weights) else network
            self._solo = Solo(runner, transform.scale)
            self._session = self.session()
            kind, computed = runner.kind, str(runner.precision)
        else:
            if memory is not None:
                self._streams()
            kind = "torch" if engine == "auto" else engine
            computed = "the quickest precision" if precision == "fast" else precision
            self._run_clips = create_clip_engine(network, engine, precision=precision, threads=threads, device=device)
        self._lock = threading.Lock()  # of what runs clips
        self.runs_on = f"{kind} in {computed}" + ("" if device == "cpu" else f" on {device}")
        """Engine, precision and device, in words."""

    @classmethod
    def load(
        cls,
        source: str | Path = DEFAULT_MODEL,
        *,
        labels: str | Path | Sequence[str] | None = None,
        options: dict[str, Any] | None = None,
        offline: bool = False,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        memory: float | None = None,
        on_gap: OnGap = "reset",
        max_gap: float = 2.0,
        cache: bool = True,
        progress: "Progress | None" = None,
    ) -> Self:
        """Find a network by name, file or folder (see `open_network`; the bundled one by default) and take it into use
        (see `Recognizer`)."""
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

    def __repr__(self) -> str:
        return f"Recognizer({self.info}, {'' if self._solo else 'whole clips, '}{self.runs_on})"

    @property
    def labels(self) -> tuple[str, ...]:
        """One a class, in the order of the probabilities; `class N` where the network brings none."""
        return self.info.labels or tuple(self.info.label(n) for n in range(self.info.spec.num_classes))

    @property
    def engine(self) -> Engine[Any]:
        """What runs streams.

        Raises:
            MovinetError: the network is a base network, which has no streams.
        """
        return self._streams().engine

    @property
    def memory(self) -> float | None:
        """Seconds after which a frame hardly counts any more, infinity for never, None as the network was trained: at
        once for the stream of `push`, and for streams that begin later.

        Raises:
            ValueError: when set: the seconds are not positive.
            MovinetError: when set: a base network has no streams, and somebody else's file never forgets.
        """
        return self._memory

    @memory.setter
    def memory(self, seconds: float | None) -> None:
        self._own.memory = seconds
        self._memory = seconds

    @property
    def can_forget(self) -> bool:
        """Whether `memory` can be set.

        Raises:
            MovinetError: the network is a base network.
        """
        return can_forget(self.engine, self.info.spec)

    def session(self, *, detector: EventDetector | None = None) -> Session:
        """A stream of its own, beside that of `push`, with the recognizer's memory and gaps.

        Args:
            detector: turns its answers into events (see `Session.events`).

        Raises:
            MovinetError: the network is a base network, which has no streams.
        """
        return Session(
            self._streams().seat(),
            self.network,
            memory=self._memory,
            on_gap=self.on_gap,
            max_gap=self.max_gap,
            detector=detector,
        )

    def push(self, rgb: Image | Frame, time: float | None = None) -> Prediction | None:
        """Show the network the next frame of the recognizer's own stream; as `Session.push`.

        Raises:
            ValueError: the frame has another type or shape, or its time is no number.
            MovinetError: the network is a base network, which has no streams.
        """
        return self._own.push(rgb, time)

    @overload
    def __call__(self, video: list[Any] | tuple[Any, ...], *, fps: float | None = None) -> list[Prediction]: ...
    @overload
    def __call__(self, video: Source | NDArray[np.uint8] | HasArray, *, fps: float | None = None) -> Prediction: ...
    def __call__(
        self,
        video: Source | NDArray[np.uint8] | HasArray | list[Any] | tuple[Any, ...],
        *,
        fps: float | None = None,
    ) -> Prediction | list[Prediction]:
        """What a video shows, or each of several.

        Args:
            video: a path or address; or frames, uint8 RGB (T, H, W, 3) or one (H, W, 3), as an array or a tensor on the
                CPU; or floats in [0, 1], also with channels first, as PyTorch has them; or a list of any of these.
            fps: frames a second that an array or a tensor has; the network's own by default. Files say it themselves.

        Returns:
            The answer after its last frame; a list of them for a list.

        Raises:
            VideoError: it cannot be read.
            ValueError: the frames have another type or shape, or `fps` is no rate.
            BatchError: some of a list are such; it has the answers of the others.
        """
        if isinstance(video, list | tuple):
            return self._each(video, fps)
        return self.classify_frames(self._frames(video, fps))

    def embed(self, video: Source | NDArray[np.uint8] | HasArray, *, fps: float | None = None) -> NDArray[np.float32]:
        """A video as one vector (features,), for search and clustering: the mean over its frames of the features that
        the classifier's head sees. Alike are those of a large cosine. `movinet scan --embeddings` keeps such a vector a
        second of many videos; `MoViNet.embed` gives what comes after the head's dense layer.

        Args:
            video, fps: as of a call, but no list.

        Raises:
            VideoError: it cannot be read.
            ValueError: the frames have another type or shape, or `fps` is no rate.
            MovinetError: the network is a base network, an ensemble, or somebody else's file.
        """
        session = self.session()
        stream_answer(session, self._frames(video, fps))
        return session.embedding()

    def stream(
        self,
        path: Source,
        start: float = 0.0,
        end: float | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        decoding_threads: int = 1,
    ) -> Iterator[Prediction]:
        """Recognize a video file or image folder frame by frame, in constant memory, as a stream of its own.

        Args:
            path: a video, one of its tracks, an image folder, or an address.
            start: seconds.
            end: seconds, exclusive.
            limits: what the video may make this process do.
            decoding_threads: 0 for as many as there are cores. One takes a quarter less work altogether.

        Raises:
            VideoError: it cannot be read.
            MovinetError: the network is a base network.
        """
        session = self.session()  # a base network is refused before the file is looked for
        frames = read_frames(path, self.info.transform.fps, start, end, threads=decoding_threads, limits=limits)
        return self._answers(session, frames)

    def events(
        self,
        path: Source,
        start: float = 0.0,
        end: float | None = None,
        *,
        detector: EventDetector | None = None,
        limits: Limits = DEFAULT_LIMITS,
        decoding_threads: int = 1,
    ) -> Iterator[Event]:
        """What happens in a video from when to when, as each event ends, in constant memory.

        Streams forget as the recognizer says; where that says nothing, as live ones do (`live_memory`).

        Args:
            path, start, end, limits, decoding_threads: as in `stream`.
            detector: says when events begin and end; by default with the network's own thresholds (`detector_of`).

        Raises:
            VideoError: it cannot be read.
            MovinetError: the network is a base network.
        """
        session = self.session(detector=detector or detector_of(self.info))
        if self._memory is None:
            session.memory = live_memory(self.engine, self.info)
        frames = read_frames(path, self.info.transform.fps, start, end, threads=decoding_threads, limits=limits)
        for _ in self._answers(session, frames):
            yield from (event for event in session.events() if event.end is not None)
        session.finish()
        yield from (event for event in session.events() if event.end is not None)

    def classify(
        self,
        path: Source,
        start: float = 0.0,
        end: float | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        decoding_threads: int = 1,
        progress: "Progress | None" = None,
    ) -> Prediction:
        """What a whole video shows. A stream network keeps memory constant, a base network holds the clip.

        Args:
            path, start, end, limits, decoding_threads: as in `stream`.
            progress: called with the frames a stream network has seen, and None.

        Raises:
            VideoError: it cannot be read.
        """
        fps = self.info.transform.fps
        return self.classify_frames(
            read_frames(path, fps, start, end, threads=decoding_threads, limits=limits), progress
        )

    def classify_frames(self, frames: Iterable[Frame], progress: "Progress | None" = None) -> Prediction:
        """What a clip of frames shows: the answer after the last of them. A base network holds them all at its size.

        Args:
            frames: at least one, at the network's rate.
            progress: called with the frames a stream network has seen, and None.
        """
        if self._solo is not None:
            return stream_answer(self.session(), frames, progress)
        clip, last = held_clip(frames, self.info.transform)
        with self._lock:
            logits = self._run_clips(clip)
        return Prediction.of_logits(logits[0], last, clip.shape[2], self.info)

    def reset(self) -> None:
        """Forget the stream of `push`: the next frame is its first."""
        self._own.reset()

    def save_state(self, path: str | Path) -> None:
        """Write the state of `push`'s stream to a file, whole or not at all; `restore_state` goes on from it.

        Raises:
            MovinetError: no frame was seen yet, or the file cannot be written.
        """
        self._own.save(path)

    def restore_state(self, path: str | Path) -> None:
        """Go on with a stream saved by `save_state` with the same weights; see `Session.restore`.

        Raises:
            WeightsError: the file cannot be read, belongs to other weights, was saved by an engine that holds its past
                in another form, or holds what no stream can.
        """
        self._own.restore(path)

    def _frames(self, video: Source | NDArray[np.uint8] | HasArray, fps: float | None) -> Iterator[Frame]:
        """At the network's rate."""
        rate = self.info.transform.fps
        if not isinstance(video, str | Path | Member | Track | Address):
            return array_frames(video, rate if fps is None else fps, rate)
        if fps is not None:
            raise ValueError(f"fps={fps} is for arrays and tensors; {video} says its own")
        return read_frames(video, rate)

    def _each(self, videos: Sequence[Any], fps: float | None) -> list[Prediction]:
        answers: list[Prediction | None] = []
        errors: dict[int, Exception] = {}
        for n, video in enumerate(videos):
            try:
                answers.append(self(video, fps=fps))
            except ValueError as error:  # MovinetErrors are such
                answers.append(None)
                errors[n] = error
        if errors:
            raise BatchError(answers, errors)
        return [answer for answer in answers if answer is not None]

    @property
    def _own(self) -> Session:
        self._streams()
        assert self._session is not None
        return self._session

    def _streams(self) -> Solo:
        if self._solo is None:
            raise MovinetError(
                f"{self.info.name} is a base network: it sees whole clips only; take a stream network to watch frames"
            )
        return self._solo

    def _answers(self, session: Session, frames: Iterable[Frame]) -> Iterator[Prediction]:
        for frame in frames:
            prediction = session.see(frame)
            assert prediction is not None
            yield prediction
