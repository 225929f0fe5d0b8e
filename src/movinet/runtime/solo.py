"""Streams of one engine that steps them one by one, in the thread that asks."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from movinet.errors import MovinetError
from movinet.runtime.engine import Engine, StreamState, with_decays
from movinet.runtime.images import write_scaled
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.stream_state import SavedStream


class Solo:
    """An engine for one stream a step, shared by any number of streams: calls from several threads wait for each other.

    Args:
        engine: from now on this object's alone.
        scale: what levels 0 and 255 become.
    """

    def __init__(self, engine: Engine[Any], scale: tuple[float, float]) -> None:
        self.engine, self.scale, self.lock = engine, scale, threading.Lock()
        self.spare: Any = engine.init_state()  # a batch nobody has written to, for the first stream
        self.initial_state: StreamState = engine.get_state(self.spare, 0)
        _, height, width = engine.signature.inputs[0].shape
        self.frames = np.zeros((1, height, width, 3), np.float32)

    def seat(self) -> "SoloSeat":
        """A place for a new stream."""
        return SoloSeat(self)


class SoloSeat:
    """See `movinet.runtime.seat.Seat`. A stream's state stays in a batch of its own."""

    waiting = 0

    def __init__(self, solo: Solo) -> None:
        self._solo, self._batch, self._left = solo, None, False
        self._decays: Mapping[str, float] = {}
        self.seen = 0

    @property
    def engine(self) -> Engine[Any]:
        return self._solo.engine

    @property
    def initial_state(self) -> StreamState:
        return self._solo.initial_state

    def check(self) -> None:
        if self._left:
            raise MovinetError("the stream has ended: take a new session")

    def show(self, frame: QueuedFrame) -> None:
        solo, logits, fault = self._solo, None, None
        with solo.lock:
            try:
                if frame.decays is not None:
                    self._decays = frame.decays
                batch = self._taken()
                if frame.fresh or self.seen == 0:
                    self.seen = 0
                    solo.engine.set_states(batch, {0: with_decays(solo.engine, solo.initial_state, self._decays)})
                elif frame.decays is not None:
                    stream = with_decays(solo.engine, solo.engine.get_state(batch, 0), frame.decays)
                    solo.engine.set_states(batch, {0: stream})
                write_scaled(frame.image, solo.scale, solo.frames[0])
                logits = solo.engine.step(solo.frames, batch, frame.answer is not None)
                self.seen += 1
            except Exception as error:
                self._batch, self.seen, fault = None, 0, error
        assert frame.owner is not None
        frame.owner.answered(frame, self.seen, None if logits is None else logits[0], fault)

    def snapshot(self) -> SavedStream:
        with self._solo.lock:
            if self.seen == 0:
                return SavedStream(0, with_decays(self.engine, self.initial_state, self._decays))
            return SavedStream(self.seen, self.engine.get_state(self._taken(), 0))

    def restore(self, saved: SavedStream, decays: Mapping[str, float]) -> None:
        with self._solo.lock:
            self.engine.set_states(self._taken(), {0: saved.state})
            self.seen, self._decays = saved.frames, decays

    def leave(self) -> None:
        with self._solo.lock:
            self._batch, self._left = None, True

    def _taken(self) -> Any:
        if self._batch is None:
            self._batch, self._solo.spare = self._solo.spare, None
        if self._batch is None:
            self._batch = self.engine.init_state()
        return self._batch
