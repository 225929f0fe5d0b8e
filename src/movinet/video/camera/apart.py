"""A live source that is read by a process of its own: where threads hang, only killing helps."""

import json
import os
import subprocess
import sys
import threading
from typing import cast

import numpy as np

from movinet.errors import BadSource, LoginRefused, VideoError
from movinet.video.camera.following import Known, Wanted
from movinet.video.camera.line import LocalLine, News, State
from movinet.video.camera.wire import ONE, SEEN, SHAPE, known_as_plain, known_from, messages, wanted_as_plain, write
from movinet.video.frame import Frame
from movinet.video.net.credentials import without_secrets
from movinet.video.net.sources import without_password
from movinet.video.pacer import LivePacer

_ERRORS: dict[str, type[VideoError]] = {"bad": BadSource, "login": LoginRefused}
_WITHIN = 30.0  # seconds in which the process must begin


class ProcessReader:
    """Follows a source in a process of its own, as `movinet.video.camera.reader.ThreadReader` does in a thread.

    Args:
        wanted, line, pacer, known: As there.
    """

    def __init__(self, wanted: Wanted, line: LocalLine, pacer: LivePacer, known: Known) -> None:
        self.line = line
        self._wanted, self._pacer, self._known = wanted, pacer, known
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        line.hear(_WITHIN)
        self._thread = threading.Thread(target=self._run, name="movinet-live", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def leave(self) -> None:
        """Nothing it says counts any more: it is killed. Does not wait."""
        self.line.cut()
        if self._process is not None:
            self._process.kill()

    def join(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        name = without_password(self._wanted.source)
        try:
            self._listen()
            self.line.end(None if self._ended else VideoError(f"{name}: the process that read it has died"))
        except VideoError as error:
            self.line.end(error)
        except Exception as error:  # never leave the consumer waiting
            self.line.end(VideoError(f"{name}: {type(error).__name__} in the process that read it"))

    def _listen(self) -> None:
        # What is wanted may hold a password: it is not in the command, which everybody can see.
        command = [sys.executable, "-P", "-m", "movinet.video.camera.apart_process"]
        places = os.pathsep.join(path for path in sys.path if path)
        environment = {**without_secrets(os.environ), "PYTHONPATH": places}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=environment) as process:
            self._process = process
            if self.line.is_cut:
                process.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                wanted, known = wanted_as_plain(self._wanted), known_as_plain(self._known, everything=True)
                about = {"wanted": wanted, "known": known, "fps": self._pacer.fps, "max_gap": self._pacer.max_gap}
                write(process.stdin, b"a", json.dumps(about).encode())
                most = 3 * self._wanted.limits.max_pixels + SHAPE.size
                for kind, data in messages(process.stdout, most):
                    if self.line.is_cut:
                        return
                    if (answer := self._take(kind, data)) is not None:
                        process.stdin.write(answer)
                        process.stdin.flush()
            except VideoError:
                raise
            except (OSError, ValueError):
                pass  # it was killed, or has died
            finally:
                process.kill()

    def _take(self, kind: bytes, data: bytes) -> bytes | None:
        """One message, and what to answer."""
        line, pacer, timeline = self.line, self._pacer, self._known.timeline
        match kind:
            case b"w":
                return bytes([pacer.wants(*ONE.unpack(data))])
            case b"d":
                (moment,) = ONE.unpack(data)
                timeline.last = moment
                return bytes([pacer.is_due(moment)])
            case b"p":
                pacer.passed(*ONE.unpack(data))
            case b"g":
                line.stretch(*ONE.unpack(data))
            case b"h":
                line.hear(*ONE.unpack(data))
            case b"s":
                self._known.past.remember(*SEEN.unpack(data))
            case b"f":
                height, width, moment, patience = SHAPE.unpack_from(data)
                rgb = np.frombuffer(data, np.uint8, offset=SHAPE.size).reshape(height, width, 3)
                line.put(Frame.of_rgb(rgb, moment), patience)
            case b"k":
                known_from(json.loads(data), self._known)
            case b"c":
                late, damaged, lag = json.loads(data)
                line.count(int(late), int(damaged), float(lag))
            case b"n":
                state, why, seconds = json.loads(data)
                line.tell(News(cast(State, str(state)), str(why), float(seconds)))
            case b"e":
                what, words = json.loads(data)
                if what == "end":
                    self._ended = True
                    return None
                raise _ERRORS.get(what, VideoError)(words)
            case _:
                raise ValueError(f"a message of kind {kind!r}")
        return None
