"""What a network said of the videos of a set, a line each in a file that is only ever added to: a run that was killed
goes on where it was, and comes to the same result."""

import base64
import binascii
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.evaluate.clip_protocols import SHARES
from movinet.files import dump_json
from movinet.reading import parse_json

_FORMAT = "movinet answers 1"
_LARGEST = 1 << 22  # bytes of a line: twenty answers of ten thousand classes


@dataclass(frozen=True)
class Record:
    """What is kept of one video.

    Args:
        probabilities: (num_classes,) float32.
        frames: that the network was shown, in all views together.
        lasts: seconds of video.
        short: whether it is shorter than the protocol's clip.
        decode_seconds, network_seconds: of processor time.
        hits: of a stream where videos have one label, (2, 20) float32: whether it was the likeliest, and among the
            five likeliest, when each share of the video had been seen.
        every: of such a stream, the share of frames after which it was the likeliest.
        by_share: of a stream where videos have several labels, (20, num_classes) float32: the answers themselves.
    """

    probabilities: NDArray[np.float32]
    frames: int
    lasts: float
    short: bool
    decode_seconds: float
    network_seconds: float
    hits: NDArray[np.float32] | None = None
    every: float | None = None
    by_share: NDArray[np.float32] | None = None


class AnswerFile:
    """See above. Lines that are damaged, as the last of a run that was killed may be, are passed over."""

    def __init__(self, path: str | Path, key: str, about: Mapping[str, Any], num_classes: int) -> None:
        """Open it, or make it.

        Args:
            path: of the file; `records` has what is in it.
            key: of network, data and protocol: only a file with the same is gone on with.
            about: the same for people who read it.
            num_classes: that answers have.

        Raises:
            MovinetError: it is another file, of another run, or cannot be written.
        """
        self.path, self._key, self._num_classes = Path(path), key, num_classes
        self.records: dict[int, Record] = {}
        try:
            there = self.path.exists() and self.path.stat().st_size > 0
            if there:
                self._read()
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise self._fault(error) from error
        if there and not self._ends_well:
            self._append(b"\n")
        if not there:
            self._line({"format": _FORMAT, "key": key, **about})

    def add(self, number: int, record: Record) -> None:
        """Write a video's record at once; one that was there when the file was opened is not written again.

        Raises:
            MovinetError: it cannot be written, as on a full disk.
        """
        if number in self.records:
            return
        line: dict[str, Any] = {
            "video": number,
            "frames": record.frames,
            "lasts": record.lasts,
            "short": record.short,
            "decode_seconds": record.decode_seconds,
            "network_seconds": record.network_seconds,
            "probabilities": _packed(record.probabilities),
        }
        for name in ("hits", "by_share"):
            if (values := getattr(record, name)) is not None:
                line[name] = _packed(values)
        if record.every is not None:
            line["every"] = record.every
        self._line(line)

    def close(self, remove: bool = False) -> None:
        """Close it, and remove it where it has served."""
        with suppress(OSError):
            os.close(self._file)
            if remove:
                self.path.unlink()

    def _read(self) -> None:
        with self.path.open("rb") as file:
            head = _parsed(file.readline(_LARGEST))
            if head.get("format") != _FORMAT:
                raise MovinetError(f"{self.path}: exists and is no file of answers of ours; choose another name")
            if head.get("key") != self._key:
                was = ", ".join(f"{name} {head[name]}" for name in ("model", "protocol", "videos") if name in head)
                raise MovinetError(
                    f"{self.path}: holds the answers of another run ({was}), with another network, protocol or set of "
                    "videos; choose another name, or delete it"
                )
            last = b"\n"
            while line := file.readline(_LARGEST):
                last = line
                if line.endswith(b"\n") and (found := self._record(_parsed(line))) is not None:
                    self.records.setdefault(*found)
            self._ends_well = last.endswith(b"\n")

    def _record(self, line: Mapping[str, Any]) -> tuple[int, Record] | None:
        try:
            numbers = [float(line[name]) for name in ("lasts", "decode_seconds", "network_seconds")]
            number, frames, short = line["video"], line["frames"], line["short"]
            if type(number) is not int or type(frames) is not int or type(short) is not bool or frames < 1:
                return None
            hits, every, by_share = (line.get(name) for name in ("hits", "every", "by_share"))
            record = Record(
                _unpacked(line["probabilities"], (self._num_classes,)),
                frames,
                numbers[0],
                short,
                numbers[1],
                numbers[2],
                None if hits is None else _unpacked(hits, (2, len(SHARES))),
                None if every is None else float(every),
                None if by_share is None else _unpacked(by_share, (len(SHARES), self._num_classes)),
            )
        except (KeyError, TypeError, ValueError, binascii.Error):
            return None
        return (number, record) if all(map(isfinite, numbers)) else None

    def _line(self, value: Mapping[str, Any]) -> None:
        self._append(f"{dump_json(value)}\n".encode())

    def _append(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> MovinetError:
        return MovinetError(f"{self.path}: cannot be written: {error.strerror or error}")


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except MovinetError:
        return {}
    return value if isinstance(value, dict) else {}


def _packed(values: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _unpacked(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = np.frombuffer(base64.b64decode(text, validate=True), "<f4").reshape(shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("what is no number")
    return values
