"""Which of a container's video tracks is looked at, and by which decoder."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from movinet.errors import VideoError

_PEEK = 300  # packets; those of some seconds of two tracks
_STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # decoders; FFmpeg's own leave transparency out
_LIMITED_GRAY = frozenset(
    {"av1", "flv1", "h261", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "vvc"}
)


def numbered_track(container: InputContainer, number: int, name: str) -> VideoStream:
    """The track with a number as `ffprobe` counts them, sound and text included.

    Raises:
        VideoError: There is none, it is no video, or nothing here can decode it.
    """
    for stream in container.streams.video:
        if stream.index == number:
            if not _is_known(stream):
                raise VideoError(f"{name}: stream {number} is {_UNKNOWN}")
            return stream
    there = [_described(stream) for stream in container.streams.video]
    raise VideoError(f"{name}: has no video stream {number}, only {', '.join(there) or 'other kinds'}")


def moving_tracks(container: InputContainer, name: str) -> list[VideoStream]:
    """The tracks that may be the video, the likeliest first. Covers, thumbnails and tracks of one frame beside a
    longer one (motion photos) are none.

    Raises:
        VideoError: There is none, or none that can be decoded.
    """
    streams = container.streams
    moving = [stream for stream in streams.video if not stream.disposition & _STILL]
    moving = moving or [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        kinds = ", ".join(sorted({str(stream.type) for stream in streams if stream.type != "video"}))
        raise VideoError(f"{name}: has no video{f', only {kinds}' if kinds else ''}")
    known = [stream for stream in moving if _is_known(stream)]
    if not known:
        raise VideoError(f"{name}: its video is {_UNKNOWN}; convert it to H.264 with the program that made it")
    most = max(stream.frames for stream in known)
    # Beside a video, cameras keep one or a few frames of full size. 0 is a container that does not count.
    longer = [s for s in known if not (0 < s.frames * 8 <= most or s.frames == 1 < most)]
    return sorted(longer, key=_likelihood, reverse=True)


def first_that_moves(container: InputContainer, tracks: Sequence[VideoStream]) -> int:
    """The index of the first of `tracks` that has more than one frame, where containers do not count them.
    Reads on in the container."""
    seen = Counter[int]()
    try:
        for packet in islice(container.demux(list(tracks)), _PEEK):
            seen[packet.stream.index] += bool(packet.size)
    except av.error.FFmpegError:
        pass  # whoever reads the video meets it again
    found = (stream.index for stream in tracks if seen[stream.index] > 1)
    return next(found, tracks[0].index)


def decoder_of(stream: VideoStream) -> VideoStream | VideoCodecContext:
    """What decodes the stream's packets: itself, or libvpx for what is transparent in VP8 and VP9."""
    better = _WITH_ALPHA.get(stream.codec_context.name)
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1" or better is None:
        return stream
    try:
        decoder = av.CodecContext.create(better, "r")
    except Exception:  # FFmpeg was built without it
        return stream
    return decoder if isinstance(decoder, VideoCodecContext) else stream


def gray_is_limited(stream: VideoStream) -> bool:
    """Whether gray frames without a word on their range have black at 16."""
    return stream.codec_context.name in _LIMITED_GRAY


_UNKNOWN = "in a codec that FFmpeg does not know"


def _is_known(stream: VideoStream) -> bool:
    return stream.codec_context is not None


def _likelihood(stream: VideoStream) -> tuple[bool, bool, int]:
    is_gray = stream.format is not None and stream.format.name.startswith("gray")  # as transparency is in AVIF
    return bool(stream.disposition & Disposition.default), not is_gray, stream.width * stream.height


def _described(stream: VideoStream) -> str:
    if not _is_known(stream):
        return f"{stream.index} ({_UNKNOWN})"
    return f"{stream.index} ({stream.codec_context.name}, {stream.width}×{stream.height})"
