"""Cutting a long file into pieces that several cores work on, where the network forgets.

With a memory of τ seconds a frame's weight in what is pooled has fallen below 1e-4 after 9.2·τ. So a piece begins with
the frames of so long a time before it, whose answers are thrown away; what comes after differs from the uncut run by
what was forgotten. Where the network never forgets, nothing is cut.
"""

import math
from dataclasses import dataclass

from movinet.arch.spec import NetworkSpec, Spec
from movinet.video.container import Video

FORGOTTEN = 9.2
"""Memories after which a frame counts for less than 1e-4 (e⁻⁹·² = 1.01e-4)."""
SHORTEST = 600.0
"""Seconds of the shortest piece; longer where the frames before it would be more than a twentieth of the work."""


@dataclass(frozen=True)
class Piece:
    """A part of a file, in frames at the network's rate, counted from the file's beginning.

    Args:
        number: from 0.
        replay: the first frame that is shown.
        begin: the first whose answer counts.
        end: the first that belongs to the next piece; None for the last one.
    """

    number: int
    replay: int
    begin: int
    end: int | None


def replayed_frames(spec: NetworkSpec, memory: float) -> int:
    """Frames that a piece shows before its own: the memory's, and those that the convolutions look back upon or over
    which positions are counted."""
    looks_back = sum(place.layer.kernel[0] - 1 for place in spec.layers(spec.size))
    counted = (spec.position_limit or 0) if spec.positional_encoding else 0
    return math.ceil(FORGOTTEN * memory * spec.fps) + max(looks_back, counted) + 1


def piece_seconds(spec: NetworkSpec, memory: float) -> float:
    """How long pieces are."""
    return max(SHORTEST, 20 * replayed_frames(spec, memory) / spec.fps)


def cut(video: Video, spec: Spec, memory: float | None, seconds: float | None = None) -> list[Piece]:
    """The pieces of a file, each from a whole second on; one, where it is not cut: it is short, the network never
    forgets, or is an ensemble (whose members take turns by a frame's number), or the file's times are such that nothing
    in its middle can be found.

    Args:
        video: a local file that was just opened.
        spec: of the network.
        memory: seconds; None: the network never forgets.
        seconds: of a piece; as `piece_seconds` says by default.
    """
    whole = [Piece(0, 0, 0, None)]
    duration = video.duration
    if memory is None or not isinstance(spec, NetworkSpec) or duration is None or video.is_hard_to_seek:
        return whole
    count = math.floor(duration / (seconds or piece_seconds(spec, memory)))
    if count < 2:
        return whole
    begins = [math.ceil(round(number * duration / count) * spec.fps) for number in range(count)]
    if spec.positional_encoding and spec.position_limit is None:
        return whole
    keys, replay = _key_frames(video), replayed_frames(spec, memory)
    return [
        Piece(number, _from_key(keys, begin - replay, spec.fps, replay // 4), begin, end)
        for number, (begin, end) in enumerate(zip(begins, [*begins[1:], None], strict=True))
    ]


def _key_frames(video: Video) -> list[float]:
    """Seconds of the frames from which decoding can begin, as far as the file has an index."""
    entries, base = video.stream.index_entries, video.stream.time_base
    if not len(entries) or base is None:
        return []
    first = entries[0].timestamp
    return [float((entry.timestamp - first) * base) for entry in entries if entry.is_keyframe]


def _from_key(keys: list[float], frame: int, fps: float, most: int) -> int:
    """The frame at which to begin, at the latest `frame`: at a key frame, from which decoding would begin anyway, where
    one is near, at `most` so many frames before."""
    if frame <= 0:
        return 0
    near = [first for key in keys if frame - most <= (first := math.ceil(key * fps)) <= frame]
    return near[-1] if near else frame
