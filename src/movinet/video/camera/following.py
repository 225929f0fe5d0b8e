"""Opening a live source as what it is, and following it until it is lost or has ended."""

from dataclasses import dataclass, field
from typing import Literal

from movinet.errors import VideoError
from movinet.video.camera.devices import camera_number, open_camera
from movinet.video.camera.line import Line
from movinet.video.camera.live_clock import Timeline
from movinet.video.camera.live_video import LiveVideo
from movinet.video.camera.played import Place, play
from movinet.video.camera.running import Past, Running
from movinet.video.camera.snapshot import poll
from movinet.video.locations import Source, Track, is_address
from movinet.video.net.login import Address
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.pacer import LivePacer

Transport = Literal["tcp", "udp", "http"]
"""How an RTSP server sends its pictures: within the connection, beside it, or through http."""

_QUICK = {"fflags": "nobuffer", "flags": "low_delay"}
# Half a second says what is coming; where it does not, there is a second attempt.
_SOON = {"analyzeduration": "500000"}
# A description says what is coming: nothing is looked at beforehand, and no sound is asked for.
_RTSP = {"probesize": "32", "analyzeduration": "0", "allowed_media_types": "video"}


@dataclass(frozen=True)
class Wanted:
    """How a source is followed; as in `movinet.video.camera.live_source.LiveSource`."""

    source: Source = field(repr=False)  # which may have a password in it
    loop: bool = False
    timeout: float = 10.0
    max_lag: float = 1.0
    transport: Transport = "tcp"
    limits: Limits = DEFAULT_LIMITS
    hardware: bool | str = False

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine, which is not lost and found again."""
        return not is_address(self.source) and camera_number(self.source) is None


@dataclass
class Known:
    """What is known of a source from one connection to the next.

    Args:
        kind: What it turned out to be.
        past: Of a stream.
        place: In a file.
        is_direct: Whether it is a camera whose server leads nowhere else.
    """

    kind: Literal["stream", "file", "pictures"] | None = None
    past: Past = field(default_factory=Past)
    place: Place = field(default_factory=Place)
    is_direct: bool = False

    @property
    def timeline(self) -> Timeline:
        return self.past.timeline


def follow(wanted: Wanted, line: Line, pacer: LivePacer, known: Known) -> None:
    """Until a file has ended, or the line is cut.

    Raises:
        VideoError: The source cannot be opened, or was lost.
    """
    if wanted.is_local:
        known.kind = "file"
    if known.kind == "pictures":
        _poll(wanted, line, pacer, known)
        return
    if known.kind != "file":
        with open_live(wanted, known.is_direct) as video:
            if video.is_picture and known.kind is None:
                known.kind = "pictures"
            elif video.duration is None and not video.finite:
                known.kind, known.is_direct = "stream", video.is_direct
                Running(video, line, pacer, known.past, wanted.timeout, wanted.max_lag).run()
                return
            elif known.kind == "stream":
                raise VideoError(f"{video.name}: the stream has ended")
            else:
                known.kind = "file"
                known.place.duration = None if video.finite else video.duration
        if known.kind == "pictures":
            _poll(wanted, line, pacer, known)
            return
    source, timeout, limits = wanted.source, wanted.timeout, wanted.limits
    play(source, line, pacer, known.place, loop=wanted.loop, timeout=timeout, limits=limits)


def open_live(wanted: Wanted, asked: bool = False) -> LiveVideo:
    """Open what is not a file of this machine.

    Args:
        wanted: The source.
        asked: Whether it was opened before and `is_direct`.

    Raises:
        VideoError: It cannot be opened.
    """
    number = camera_number(wanted.source)
    if number is not None:
        return open_camera(number, wanted.timeout)
    if _scheme(wanted.source) in ("rtsp", "rtsps"):
        return _open(wanted, {**_QUICK, **_RTSP, "rtsp_transport": wanted.transport}, asked)
    video = _open(wanted, {**_QUICK, **_SOON})
    if video.stream.width or video.duration is not None:
        return video
    video.close()
    return _open(wanted, _QUICK)


def _open(wanted: Wanted, options: dict[str, str], asked: bool = False) -> LiveVideo:
    source, timeout, limits = wanted.source, wanted.timeout, wanted.limits
    return LiveVideo(source, timeout, options=options, limits=limits, hardware=wanted.hardware, asked=asked)


def _poll(wanted: Wanted, line: Line, pacer: LivePacer, known: Known) -> None:
    source = wanted.source.source if isinstance(wanted.source, Track) else wanted.source
    assert isinstance(source, str | Address)
    poll(source, line, pacer, known.timeline, timeout=wanted.timeout, limits=wanted.limits)


def _scheme(source: Source) -> str:
    inner = source.source if isinstance(source, Track) else source
    return (inner.url if isinstance(inner, Address) else str(inner)).partition("://")[0].lower()
