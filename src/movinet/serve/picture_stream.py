"""A stream of pictures that somebody sends: checked, decoded, shown to the network, and what comes of it."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError, VideoError
from movinet.events import EventDetector, EventRules, what_is_promised
from movinet.live.json_lines import as_json
from movinet.live.report import Begun, Ended, Figures, Report, Seen, What
from movinet.prediction import Prediction
from movinet.runtime.engine import live_memory
from movinet.runtime.exported import precision_of
from movinet.runtime.pool import StreamPool
from movinet.serve.protocol import Change, Format, Open, Sent, told_memory
from movinet.video.camera.changes import SourceFigures
from movinet.video.frame import Frame, Picture
from movinet.video.net.sources import Limits
from movinet.video.pixels import ToRGB
from movinet.video.single_picture import decode_picture, picture_kind, stated_size
from movinet.video.transform import Transform

_RECENTLY = 4.0  # seconds over which the rate of predictions is told


@dataclass(frozen=True)
class Looked:
    """What came of a picture: a prediction, or why there is none."""

    sent: Sent
    prediction: Prediction | None = None  # None: it was not due
    error: MovinetError | None = None
    decoded: float = 0.0  # seconds that decoding took
    fatal: bool = False  # the stream cannot go on


class PictureStream:
    """One client's stream in a pool; a context manager that leaves it.

    `look` is called by worker threads, one at a time; everything else by one thread.

    Args:
        pool: of the model.
        opening: what the client asked for.
        largest: pixels of the longer side of a picture.

    Raises:
        MovinetError: the pool is full, or what was asked for makes no sense.
    """

    def __init__(self, pool: StreamPool, opening: Open, largest: int) -> None:
        assert opening.size is not None
        assert opening.format is not None
        self.pool, self.name, self._largest = pool, opening.name, largest
        self.size, self.format, self.topk = opening.size, opening.format, opening.topk or 5
        self.rules = opening.thresholds
        self._check_size(self.size)
        detector = (self.rules or EventRules()).detector(pool.info, "thresholds")
        self.session = pool.join(memory=live_memory(pool.engine, pool.info, opening.memory), detector=detector)
        self.frames = self.dropped = self.refused = 0
        self._times: deque[float] = deque(maxlen=256)
        self._arrived = 0.0
        self._step_ms = 0.0

    def __enter__(self) -> "PictureStream":
        return self

    def __exit__(self, *error: object) -> None:
        self.session.leave()

    def change(self, change: Change) -> None:
        """Go on differently, with the next picture.

        Raises:
            MovinetError: what was asked for makes no sense; nothing has changed.
        """
        detector = None if change.thresholds is None else change.thresholds.detector(self.pool.info, "thresholds")
        if change.size is not None:
            self._check_size(change.size)
        if change.memory is not None:
            self.session.memory = live_memory(self.pool.engine, self.pool.info, change.memory)
        if detector is not None:
            self.rules = change.thresholds
            self.session.detect(detector)
        self.size, self.format = change.size or self.size, change.format or self.format
        self.topk = change.topk or self.topk

    def reset(self) -> None:
        """The next picture is the first; running events end."""
        self.session.finish()
        self.session.reset()

    def described(self) -> dict[str, Any]:
        """How the stream goes on, for the client."""
        info, detector = self.pool.info, self.session.detector
        height, width = info.transform.size
        memory = self.session.memory
        assert detector is not None
        return {
            "model": info.name,
            "labels": list(info.labels) if info.labels is not None else None,
            "fps": info.transform.fps,
            "size": [width, height],
            "memory": told_memory(memory),
            "thresholds": thresholds_of(detector),
            "promise": what_is_promised(info, memory, precision_of(self.pool.network, self.pool.engine))
            if self.rules is None
            else None,
            "topk": self.topk,
        }

    def look(self, sent: Sent, size: tuple[int, int], form: Format, tell: Callable[[Looked], None]) -> None:
        """Decode a picture and show it to the network; `tell` is called once, by this thread or the pool's.

        Args:
            sent: the picture.
            size, form: as the client said when it sent it.
            tell: takes what came of it, and does not wait.
        """
        self._arrived = time.perf_counter()
        picture: SentPicture | None = None
        try:
            if form == "rgb":
                frame = Frame.of_rgb(_pixels(sent.data, size), sent.time)
            else:
                picture = SentPicture(sent.data, form, size)
                frame = Frame(sent.time, picture)
            answer = self.session.submit(frame, sent.time)
        except VideoError as error:
            tell(Looked(sent, error=error))
            return
        except MovinetError as error:  # the stream has left, or the pool is closed
            tell(Looked(sent, error=error, fatal=True))
            return
        except Exception as error:  # a fault of ours, of one picture
            tell(Looked(sent, error=MovinetError(f"the picture cannot be looked at: {type(error).__name__}")))
            return
        decoded = 0.0 if picture is None else picture.seconds
        if answer is None:
            tell(Looked(sent, decoded=decoded))
            return

        def answered(coming: "Future[Prediction]") -> None:
            try:
                tell(Looked(sent, coming.result(), decoded=decoded))
            except CancelledError:
                tell(Looked(sent, error=MovinetError("the stream has left"), fatal=True))
            except MovinetError as error:
                tell(Looked(sent, error=error, decoded=decoded))

        answer.add_done_callback(answered)

    def messages(self, looked: Looked) -> list[dict[str, Any]]:
        """What the client is told of a picture: events first, then the one answer to it."""
        told = self.events()
        if looked.error is not None:
            self.refused += 1
            return [*told, {"type": "refused", "time": looked.sent.time, "message": str(looked.error)}]
        if looked.prediction is None:
            return [*told, {"type": "skipped", "time": looked.sent.time}]
        now = time.perf_counter()
        self.frames += 1
        self._times.append(now)
        self._step_ms = 1e3 * (now - self._arrived)
        line = self._line(Seen(looked.prediction, ()))
        line["running"] = [
            {"label": event.label, "start": round(event.start, 3), "confidence": round(event.confidence, 6)}
            for event in self.session.running
        ]
        return [*told, line]

    def events(self) -> list[dict[str, Any]]:
        """Those that have begun and ended since this was asked last."""
        return [self._line(Begun(e) if e.end is None else Ended(e)) for e in self.session.events()]

    def drop(self, sent: Sent) -> dict[str, Any]:
        """The answer to a picture that a newer one pushed out."""
        self.dropped += 1
        return {"type": "dropped", "time": sent.time, "dropped": self.dropped}

    def _line(self, what: What) -> dict[str, Any]:
        now = time.perf_counter()
        recent = [then for then in self._times if now - then <= _RECENTLY]
        fps = (len(recent) - 1) / (now - recent[0]) if len(recent) > 1 else 0.0
        source = SourceFigures(frames=self.frames, damaged=self.refused, dropped=self.dropped)
        return as_json(Report(self.name, time.time(), what, Figures(source, fps, self._step_ms)), self.topk)

    def _check_size(self, size: tuple[int, int]) -> None:
        if max(size) > self._largest:
            raise MovinetError(f"pictures of {size[0]}x{size[1]}: at most {self._largest} pixels a side are taken")


class SentPicture(Picture):
    """A JPEG or WebP that somebody sent, decoded where somebody looks at it.

    Args:
        data: its bytes.
        form: what it must be.
        size: width and height that it must have.
    """

    def __init__(self, data: bytes, form: Format, size: tuple[int, int]) -> None:
        super().__init__(to_rgb=_TO_RGB)
        self._data, self._form, self._size = data, form, size
        self.seconds = 0.0
        """That decoding took."""

    def levels(self, transform: Transform) -> NDArray[np.uint8]:
        self._decode()
        return super().levels(transform)

    def rgb(self) -> NDArray[np.uint8]:
        self._decode()
        return super().rgb()

    def _decode(self) -> None:
        if self._decoded is not None:
            return
        began, (width, height) = time.perf_counter(), self._size
        if picture_kind(self._data) != self._form:
            raise VideoError(f"no {self._form}, as the stream was opened for")
        try:
            stated = stated_size(self._data)
        except ValueError as error:
            raise VideoError(str(error)) from None
        if stated != self._size:
            raise VideoError(f"a picture of {stated[0]}x{stated[1]}, not {width}x{height} as the stream was opened for")
        self._decoded = decode_picture(self._data, "the client", Limits(max_pixels=width * height, max_streams=1))
        self.seconds = time.perf_counter() - began


def _pixels(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    if len(data) != 3 * width * height:
        raise VideoError(f"{len(data)} bytes, not the {3 * width * height} of {width}x{height} in RGB")
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def thresholds_of(detector: EventDetector) -> dict[str, float]:
    """When all labels' events begin and end."""
    return {"on": detector.on, "off": detector.off, "shortest": detector.shortest}


_TO_RGB = ToRGB(name="the client's picture")
