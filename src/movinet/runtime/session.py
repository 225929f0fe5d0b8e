"""One stream: which frame is due, what a gap means, what is remembered and for how long, and the events in it."""

import math
import threading
import time as clock
from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import HEAD_POOL, TensorSpec, decays
from movinet.errors import MovinetError
from movinet.events import Event, EventDetector
from movinet.prediction import Prediction
from movinet.runtime.engine import Logits, can_forget, forgetting
from movinet.runtime.images import Image, prepared
from movinet.runtime.motion_gate import MotionGate, MotionRule
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.seat import Network, Seat
from movinet.runtime.state_file import read_state, write_state
from movinet.runtime.stream_state import SavedStream
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer
from movinet.weights.info import WeightsInfo

OnGap = Literal["reset", "continue"]

_UNTOLD = 1024  # events that are kept for who asks for them


class Session:
    """One stream, from `Recognizer.session` or `StreamPool.join`; a context manager that leaves its place.

        with pool.join() as session:
            prediction = session.push(frame, time)

    Frames may come at any rate: the network takes those due at its own. Time counts in the stream's own seconds. A
    frame that comes more than `max_gap` after the last, or by more than a period before it, is after a gap: events end
    with the last frame seen, and the stream begins anew unless `on_gap` says otherwise. Frames that are refused with an
    error leave everything as it was.

    Any thread may call anything: calls wait for each other.
    """

    def __init__(
        self,
        seat: Seat,
        network: Network,
        *,
        memory: float | None = None,
        every: int = 1,
        on_gap: OnGap = "reset",
        max_gap: float = 2.0,
        saved: SavedStream | None = None,
        detector: EventDetector | None = None,
        motion: MotionRule | None = None,
    ) -> None:
        """Begin a stream, or go on with one.

        Args:
            seat: where its state lives.
            network: what the seat's engine runs.
            memory: seconds after which a frame's weight in the answer has fallen to 1/e; None: that of the saved
                stream, or of the network, which as a rule never forgets.
            every: of how many frames `submit` answers one; the others cost less.
            on_gap: what to do when frames were missing for more than `max_gap` seconds, or time ran backwards.
            max_gap: seconds; three of the network's frames at least.
            saved: a stream to go on with (see `movinet.runtime.stream_state`).
            detector: turns the answers into events; see `events`.
            motion: frames of a scene that is still by this rule are not shown to the network: its last answer holds at
                their time, and its state stays as it was. Frames without a time always are. None: all are.

        Raises:
            ValueError: the memory is not positive, or an option is none of those.
            MovinetError: the network comes from somebody else's file, which never forgets, or the saved stream is not
                of this network and engine.
        """
        if on_gap not in ("reset", "continue"):
            raise ValueError(f"on_gap is {on_gap!r}; choose 'reset' or 'continue'")
        if every < 1:
            raise ValueError(f"every is {every}; 1 answers every frame, 2 every other")
        self.info, self.detector, self.on_gap = network.info, detector, on_gap
        self.pacer = LivePacer(self.info.transform.fps, max_gap)
        """Says which frames are due; a source that asks it by itself hands its frames to `see`."""
        self.dropped = 0
        """Frames that newer ones pushed out of the queue."""
        self.still = 0
        """Frames that were not shown to the network, since nothing moved."""
        self._gate = None if motion is None else MotionGate(motion, self.info.transform.scale)
        self._newest: QueuedFrame | None = None  # the last that was shown, until its answer comes
        self._answer: Prediction | None = None  # to that one
        self._seat, self._network, self._every = seat, network, every
        self._lock = threading.RLock()
        self._begins = False  # anew, with the next frame
        self._last: float | None = None  # time of the last frame that came
        self._unanswered = 0  # frames since one was to be answered
        self._events: deque[Event] = deque(maxlen=_UNTOLD)
        self._memory: float | None = None
        self._decays: dict[str, float] | None = None  # to take effect with the next frame
        if saved is not None:
            self.restore(saved)
        if memory is not None:
            self.memory = memory

    @property
    def frames(self) -> int:
        """Frames the network has seen since the stream began."""
        return self._seat.seen

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return self._seat.waiting

    @property
    def memory(self) -> float | None:
        """Seconds after which a frame hardly counts any more, from the next frame on.

        Raises:
            ValueError: when set: the seconds are not positive.
            MovinetError: when set: the network comes from somebody else's file, which never forgets.
        """
        return self._memory

    @memory.setter
    def memory(self, seconds: float | None) -> None:
        new = _decays(self._seat, self.info, seconds)
        with self._lock:
            self._memory, self._decays = seconds, new

    def push(self, frame: Image | Frame, time: float | None = None) -> Prediction | None:
        """Show the network the stream's next frame, and wait for what it thinks.

        Args:
            frame: (H, W, 3) uint8 in RGB order (OpenCV gives BGR: pass `frame[..., ::-1]`), of any size, the same for
                the whole stream or not; a decoded `Frame`; or one that has been prepared: float32 of the network's size
                and range.
            time: seconds, of this frame; without times every frame is taken. A `Frame`'s own is not looked at.

        Returns:
            What the network thinks, or None if this frame was not due yet, or not one `every` asks for.

        Raises:
            ValueError: the frame has another type or shape, or its time is no number. The stream goes on without it.
            MovinetError: the stream has left; the engine failed, or its answer is no number: the stream begins anew.
        """
        return _waited_for(self.submit(frame, time))

    def submit(self, frame: Image | Frame, time: float | None = None) -> Future[Prediction] | None:
        """Hand over the next frame without waiting for the engine, where it belongs to a pool.

        The answer comes as a future: `result()` waits for it, `asyncio.wrap_future` makes it awaitable, and
        `add_done_callback` calls from the pool's thread, which should not be kept. It is cancelled where a newer frame
        pushes this one out of the queue, and where the stream leaves or the pool closes before its turn.

        Args, Raises: as `push`; what the engine does wrong is raised by the future.
        """
        arrived = clock.monotonic()
        if time is not None and not math.isfinite(time):
            raise ValueError(f"a frame's time is {time}; want seconds, or None where it has no time")
        with self._lock:
            self._seat.check()
            if time is not None and not self.pacer.wants(time):
                self.pacer.passed(time)
                self._passed_over(time)
                return None
            image = prepared(frame, self.info.transform)  # first, so that a frame that is refused takes nobody's turn
            if time is not None and not self.pacer.is_due(time):
                self._passed_over(time)
                return None
            self._unanswered += 1
            return self._show(image, arrived, time, self._unanswered >= self._every)

    def see(self, frame: Frame, *, answer: bool = True) -> Prediction | None:
        """Show the network a frame that its source has chosen: by `pacer`, or as files are played.

        Args:
            frame: with its time.
            answer: False spares the head; the next answer is the same.

        Returns:
            What the network thinks, where it was asked.

        Raises:
            MovinetError: as `push`.
        """
        arrived = clock.monotonic()
        with self._lock:
            self._seat.check()
            image = prepared(frame, self.info.transform)
            coming = self._show(image, arrived, frame.time, answer)
        return _waited_for(coming)

    def events(self) -> list[Event]:
        """What has begun (`end` None) and ended since this was asked last, in order; nothing without a detector."""
        with self._lock:
            told = list(self._events)
            self._events.clear()
        return told

    @property
    def running(self) -> list[Event]:
        """Events that have begun and not ended."""
        with self._lock:
            return self.detector.running if self.detector else []

    def finish(self) -> None:
        """There will be no more frames, or none for a while: running events end with the last frame seen."""
        with self._lock:
            if self.detector:
                self._note(self.detector.finish())

    def detect(self, detector: EventDetector) -> None:
        """Turn answers into events by this one from here on; those that run have ended with the last frame seen."""
        with self._lock:
            self.finish()
            self.detector = detector

    def reset(self) -> None:
        """Forget the past: the next frame is the stream's first. Frames in the queue still belong to the past."""
        with self._lock:
            self._begins, self._last = True, None
            self.pacer.restart()

    def snapshot(self) -> SavedStream:
        """The stream after the last frame the network saw, for `restore` to go on with.

        Raises:
            MovinetError: it has left, or the pool is closed.
        """
        self._seat.check()
        return self._seat.snapshot()

    def embedding(self) -> NDArray[np.float32]:
        """What the stream has seen, as one vector (features,): the mean over its frames, as its memory weighs them, of
        the features that the classifier's head sees.

        Raises:
            MovinetError: no frame was seen yet, or the network is an ensemble or somebody else's file.
        """
        saved, names = self.snapshot(), [port.name for port in self._ports]
        if HEAD_POOL not in names:
            raise MovinetError(f"{self.info.name}: only networks of our own, and no ensembles, give embeddings")
        if saved.frames == 0 or self._begins:
            raise MovinetError("there is no embedding: the stream has not begun")
        return saved.state[names.index(HEAD_POOL)].astype(np.float32).reshape(-1)

    def save(self, path: str | Path) -> None:
        """Write the stream's state to a file, whole or not at all; `restore` goes on from it.

        Raises:
            MovinetError: no frame was seen yet, or the file cannot be written.
        """
        saved = self.snapshot()
        if saved.frames == 0 or self._begins:
            raise MovinetError("there is no state to save: the stream has not begun")
        arrays = {port.name: array for port, array in zip(self._ports, saved.state, strict=True)}
        write_state(path, arrays, saved.frames, self._network.hash)

    def restore(self, saved: SavedStream | str | Path) -> None:
        """Go on with a stream that was saved with the same weights, by any engine that holds the past alike. The
        memory is the saved stream's until it is set.

        Raises:
            WeightsError: the file cannot be read, belongs to other weights, or holds what no stream can.
            MovinetError: the state is not one of this network, or is held in another form than this engine's.
        """
        engine = self._seat.engine
        if not isinstance(saved, SavedStream):
            arrays, seen = read_state(saved, self._ports, self._network.hash, engine.kind)
            saved = SavedStream(seen, arrays)
        if [array.shape for array in saved.state] != [port.shape for port in self._ports]:
            raise MovinetError(f"the saved stream is not one of {self.info.name} on the engine {engine.kind!r}")
        names = decays(self.info.spec, 1.0).keys() if can_forget(engine, self.info.spec) else ()
        state = zip(self._ports, saved.state, strict=True)
        own = {port.name: float(array.flat[0]) for port, array in state if port.name in names}
        with self._lock:
            self._seat.check()
            self.finish()
            self._seat.restore(saved, own)
            self._begins, self._last, self._decays, self._answer = False, None, None, None
            if self._memory is not None:
                self.memory = self._memory
            self.pacer.restart()
            if self._gate is not None:
                self._gate.restart()

    def leave(self) -> None:
        """Give the place back. Answers to frames still in the queue are cancelled; a second time does nothing."""
        self._seat.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def answered(self, frame: QueuedFrame, seen: int, logits: Logits | None, error: Exception | None) -> None:
        """Called by the seat after a step: its answer, where it was asked for, or what went wrong."""
        prediction = None
        if error is not None:
            fault = MovinetError(f"the engine failed ({error}), and the stream begins anew")
            fault.__cause__ = error
        elif logits is not None and frame.answer is not None:
            fault = None
            if np.isfinite(logits).all():
                time = (seen - 1) / self.info.transform.fps if frame.time is None else frame.time
                prediction = Prediction.of_logits(logits, time, seen, self.info)
            else:
                fault = MovinetError(
                    f"{self.info.name} answers with what is no number, and the stream begins anew: are its weights "
                    "damaged, or too large for the precision?"
                )
        else:
            fault = None
        with self._lock:
            if fault is not None:
                self._begins = True
            if self.detector and (fault is not None or frame.ends):
                self._note(self.detector.finish())
            if self.detector and prediction is not None:
                self._note(self.detector.push(prediction))
            if frame is self._newest:
                self._newest, self._answer = None, prediction
        answer = frame.answer
        if answer is None or not answer.set_running_or_notify_cancel():
            return
        if prediction is None:
            answer.set_exception(fault or MovinetError("the stream has ended"))
        else:
            answer.set_result(prediction)

    def _note(self, ended: list[Event]) -> None:
        assert self.detector is not None
        self._events.extend([*self.detector.begun, *ended])

    @property
    def _ports(self) -> tuple[TensorSpec, ...]:
        return self._seat.engine.signature.state

    def _passed_over(self, time: float) -> None:
        """A frame came that is not due."""
        if self._last is None or 0 <= time - self._last <= self.pacer.max_gap:
            self._last = time

    def _is_gap(self, time: float) -> bool:
        period = 1 / self.info.transform.fps
        return self._last is not None and not -period <= time - self._last <= self.pacer.max_gap

    def _show(self, image: Image, arrived: float, time: float | None, answer: bool) -> Future[Prediction] | None:
        gap = time is not None and self._is_gap(time)
        fresh = self._begins or (gap and self.on_gap == "reset")
        if time is not None and self._gate is not None and self._is_still(self._gate, image, time, gap or fresh):
            return self._hold(time, answer)
        queued = QueuedFrame(image, arrived, time, fresh=fresh, ends=gap or fresh, decays=self._decays, owner=self)
        queued.answer = Future() if answer else None
        self._begins, self._decays = False, None  # first: the answer may come within, and say otherwise
        self._newest, self._answer = queued, None
        self._last = self._last if time is None else time
        dropped = self._seat.show(queued)
        if queued.answer is not None:
            self._unanswered = 0
        if dropped is not None:
            self.dropped += 1
            if dropped.answer is not None:
                dropped.answer.cancel()
        return queued.answer

    def _is_still(self, gate: MotionGate, image: Image, time: float, breaks: bool) -> bool:
        """Whether the last answer holds for a frame. One to which the answer is still to come is waited for, so that
        answers come in order."""
        if breaks:
            gate.restart()
        return gate.is_still(image, time) and self._answer is not None

    def _hold(self, time: float, answer: bool) -> Future[Prediction] | None:
        """Say again what was said last."""
        assert self._answer is not None
        self.still, self._last = self.still + 1, time
        self._answer = replace(self._answer, time=time)
        if self.detector:
            self._note(self.detector.push(self._answer, held=True))
        if not answer:
            return None
        self._unanswered, held = 0, Future[Prediction]()
        held.set_result(self._answer)
        return held


def _waited_for(answer: Future[Prediction] | None) -> Prediction | None:
    try:
        return None if answer is None else answer.result()
    except CancelledError:
        raise MovinetError(
            "the frame was given up: the stream was left or restored, its pool closed, or newer frames pushed it out"
        ) from None


def _decays(seat: Seat, info: WeightsInfo, seconds: float | None) -> dict[str, float]:
    """γ by its name in the state; those of the network itself where no seconds are given."""
    engine = seat.engine
    if seconds is not None:
        return forgetting(engine, info.spec, seconds)
    if not can_forget(engine, info.spec):
        return {}
    names, ports = decays(info.spec, 1.0).keys(), engine.signature.state
    own = zip(ports, seat.initial_state, strict=True)
    return {port.name: float(array.flat[0]) for port, array in own if port.name in names}
