"""Opening a video wherever it is, and decoding its frames with their times."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Self, cast

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from movinet.errors import VideoError
from movinet.video.joined import Extent, Seams, extent, may_be_joined
from movinet.video.locations import Source, Track, head_of, is_address, is_animated_webp, open_source, reason
from movinet.video.net.sources import DEFAULT_LIMITS, Limits, without_password
from movinet.video.pacer import FilePacer
from movinet.video.picture_head import size_in_head
from movinet.video.pixels import ToRGB
from movinet.video.selection import FileSelection, Selection
from movinet.video.timing import LATE, Clock
from movinet.video.tracks import decoder_of, first_that_moves, gray_is_limited, moving_tracks, numbered_track
from movinet.video.wanted import LookAhead, Packet, Stamps, goes_without, least_of

_ASSUMED_RATE = 25.0  # frames a second, where neither frames nor container tell
_DECODE_RATHER_THAN_SEEK = 2.0  # seconds
_NO_TIMES = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
_MOST_AGAIN = 3  # times that a part of a file is decoded again; from the last on everything is decoded

TimedFrame = tuple[float, float, av.VideoFrame]
"""(time, duration, frame), seconds since the first frame of the video."""


class Video:
    """An open video stream, read once from front to back; a context manager.

    Args:
        source: A file, one inside another, or an address FFmpeg can open (`http://`, `rtsp://`, …).
        timeout: Seconds without an answer or data after which to give up; None waits for ever.
        live: Decode with the least delay instead of the most throughput.
        device: FFmpeg's name of a capture device (`v4l2`, `avfoundation`, `dshow`) of which `source` is one.
        options: Further FFmpeg options.
        threads: Decoding threads, 0 for as many as FFmpeg likes. One takes the least work altogether (half, for small
            videos); more shorten the wait for one file where processors are idle.
        limits: What the source may make this process do.
        hardware: What decodes an address instead of the processor, where it can.
        asked: As in `movinet.video.net.opening.open_address`.
        pacer: Which frames of a file are wanted: others may be absent, as far as no later one refers to them. Where
            what was wanted turns out damaged, the file is read again from before there. None for all frames.

    Attributes:
        packets: Packets of the video read so far.
        damaged: Packets and frames that could not be decoded, or only in part.

    Raises:
        VideoError: It cannot be opened, or has no video.
    """

    def __init__(
        self,
        source: Source,
        timeout: float | None = None,
        live: bool = False,
        device: str | None = None,
        options: dict[str, str] | None = None,
        threads: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        hardware: HWAccel | None = None,
        pacer: FilePacer | None = None,
        asked: bool = False,
    ) -> None:
        self.name = without_password(source)
        self.pacer = pacer
        self.packets = 0
        self.damaged = 0
        self._skipped = 0
        self._measured: tuple[Extent | None] | None = None
        self._source = source.source if isinstance(source, Track) else source
        self._live = live
        self._times_again = 0
        self._whole_to: float | None = None  # seconds before which nothing is left out
        self._stopped: VideoError | None = None  # why no more can be read, where that is no end
        self._is_believed = True  # what was read in part when that happened
        self._selection = Selection()
        self._open = partial(open_source, source, timeout, device, options or {}, limits, hardware, asked)
        self._wanted_track, self._threads, self._limits = source, threads, limits
        self._local = not (live or device or is_address(source))
        self._opened = self._open()
        try:
            self._prepare()
        except Exception as error:
            self._opened.close()
            if isinstance(error, VideoError):
                raise
            # PyAV's tables have gaps. Its errors name the source, password and all: they are not passed on.
            raise VideoError(f"{self.name}: cannot be opened: {reason(error)}") from None
        self._timed = self._decode()

    def _prepare(self) -> None:
        self.stream = self._choose(self._wanted_track)
        self._check_size(self._limits)
        self._decoder = decoder_of(self.stream)
        # Frame threads are fastest but hold back a frame each.
        context = self._context
        context.thread_type = "SLICE" if self._live else "AUTO"
        context.thread_count = self._threads
        context.options = {**context.options, **self._limits.for_ffmpeg()}
        self._may_be_joined = may_be_joined(self._container)
        average, nominal = self.stream.average_rate, self.stream.guessed_rate
        # Frames far closer than the codec or their own durations say: the time stamps stand still.
        self.stuck = bool(average and nominal and average > 2 * nominal)
        rate = nominal if self.stuck else average or nominal
        self.fps = float(rate) if rate else None
        """Frames a second as the container tells, or None. The frames' own times may differ."""
        self._has_pts = self._container.format.name != "avi"
        self._clock = Clock(self.fps or _ASSUMED_RATE, trust_pts=self._has_pts)
        self._base = self.stream.time_base

    @property
    def _container(self) -> InputContainer:
        return self._opened.container

    @property
    def _context(self) -> VideoCodecContext:
        return self.stream.codec_context if isinstance(self._decoder, VideoStream) else self._decoder

    @property
    def skipped(self) -> int:
        """Packets whose frames were left out."""
        return self._skipped + self._selection.skipped

    @property
    def duration(self) -> float | None:
        """Seconds as the container tells, or as all packets of a file tell where several may have been joined; None for
        live sources and where neither does."""
        if (extent := self._extent()) is not None:
            return extent.seconds
        if self.stuck and self.stream.frames and self.fps:
            return self.stream.frames / self.fps
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    @property
    def is_hard_to_seek(self) -> bool:
        """Whether a place in its middle is found only by reading all that is before it, or may be found wrongly."""
        return self.stuck or self._may_be_joined or not self._local

    @property
    def keeps_times(self) -> bool:
        """Whether a container of its kind has time stamps: a bare stream of a codec has none."""
        return not self._container.format.flags & _NO_TIMES

    @property
    def finite(self) -> bool:
        """Whether it is a file of known length on a server: one that ends when it has been read to its end."""
        return self._opened.finite

    def __iter__(self) -> Iterator[TimedFrame]:
        return self

    def __next__(self) -> TimedFrame:
        while True:
            timed = self._timed
            for frame in timed:
                return frame
            if timed is self._timed:  # and it was not read anew
                raise StopIteration

    def go_to(self, start: float) -> None:
        """Have the next frame be the one shown at `start` seconds, or one before, of a video that was just opened."""
        # A seek may land after `start` (MPEG-TS) or on what cannot be decoded alone: then from further back, then in
        # order.
        for target in (start, start - 10.0):
            if target < _DECODE_RATHER_THAN_SEEK or (self._measured and self._measured[0] and self._measured[0].joined):
                break
            if next(self, None) is not None and self.seek(target, start):
                return
            self._reopen()

    def _reopen(self) -> None:
        self._opened.close()
        self._opened = self._open()
        self._prepare()
        self._timed = self._decode()

    def seek(self, time: float, latest: float | None = None) -> bool:
        """Go to a key frame at about `time`, at most at `latest`, by default `time`, having read the first frame. False
        where that did not work out: the video is then anywhere, and must be opened anew."""
        if self.stuck or self._clock.offset is None or not self.stream.time_base:
            return False
        if self._may_be_joined and ((extent := self._extent()) is None or extent.joined):
            return False  # the same time stamp may be there twice
        try:
            with self._opened.watch():
                self._container.seek(round((time - self._clock.offset) / self.stream.time_base), stream=self.stream)
        except av.error.FFmpegError:
            return False
        self._clock.seeked()
        if isinstance(self._decoder, VideoCodecContext):  # one's own is not emptied by the container
            self._decoder.flush_buffers()
        self._timed = self._decode()
        landed = next(self, None)
        if landed is None:
            return False
        self._timed = chain([landed], self._timed)
        return landed[2].key_frame and landed[0] <= (time if latest is None else latest) + LATE

    def to_rgb(self) -> ToRGB:
        """What turns this video's frames into pictures."""
        pixel, wanted = self.stream.sample_aspect_ratio, self._wanted_track
        if isinstance(wanted, Track) and wanted.aspect and self.stream.width:
            pixel = wanted.aspect * self.stream.height / self.stream.width
        return ToRGB(pixel, gray_is_limited(self.stream), self.name)

    def empty(self) -> VideoError:
        """What to say where no frame came."""
        if self.stream.codec_context.name == "webp" and is_animated_webp(self._source):
            return VideoError(
                f"{self.name}: an animated WebP, which FFmpeg cannot read; convert it to GIF or MP4 first"
            )
        return VideoError(f"{self.name}: has no frame that can be decoded ({self.damaged} damaged packets)")

    def close(self) -> None:
        self._opened.close()
        # It holds on to this object, and both to the decoder and its threads until garbage is collected; in a process
        # forked before that, which has no such threads, the decoder would wait for them for ever.
        self._timed = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _choose(self, source: Source) -> VideoStream:
        if isinstance(source, Track) and source.number is not None:
            return numbered_track(self._container, source.number, self.name)
        tracks = moving_tracks(self._container, self.name)
        if len(tracks) == 1 or not self._local or all(track.frames for track in tracks):
            return tracks[0]
        number = first_that_moves(self._container, tracks)
        self._opened.close()
        self._opened = self._open()  # at its beginning again
        return numbered_track(self._container, number, self.name)

    def _check_size(self, limits: Limits) -> None:
        size = self.stream.width, self.stream.height
        if not size[0] and self._local and (stated := size_in_head(head_of(self._source))):
            size = stated
        if size[0] * size[1] > limits.max_pixels:
            raise VideoError(
                f"{self.name}: has pictures of {size[0]}x{size[1]}, more than {limits.max_pixels} pixels: refused; "
                f"Limits(max_pixels=…) allows more"
            )

    def _extent(self) -> Extent | None:
        if not (self._may_be_joined and self._local):
            return None
        if self._measured is None:
            with closing(self._open()) as again:
                track = numbered_track(again.container, self.stream.index, self.name)
                self._measured = (extent(again.container, track),)
        return self._measured[0]

    def _packets(self) -> Iterator[Packet]:
        """All that can be read, until `_stopped` or the end."""
        packets = self._container.demux(self.stream)
        while True:
            try:
                with self._opened.watch():
                    packet = next(packets, None)
            except VideoError as error:  # no answer in time, or refused
                self._stopped, self._is_believed = error, False
                return
            except Exception as error:  # nothing more can be read
                # A server that hangs up at the end of what has no length is told from a fault by nobody.
                if isinstance(error, av.error.InvalidDataError):
                    self.damaged += 1
                elif self.duration is not None or not isinstance(error, av.error.OSError):
                    self._stopped = VideoError(f"{self.name}: reading stopped: {reason(error)}")
                break
            if packet is None:
                break
            if not packet.size and packet.pts is None and packet.dts is None:
                continue  # `_last_packet` does what it is for
            self.packets += 1
            yield packet
        if self._opened.fault:
            self._stopped = VideoError(f"{self.name}: reading stopped: {self._opened.fault}")

    def _last_packet(self) -> Packet:
        """Has the decoder give up what it holds back."""
        packet = cast(Packet, av.Packet())
        packet.stream, packet.time_base = self.stream, self.stream.time_base or Fraction(1)
        return packet

    def _select(self) -> tuple[Selection, Iterator[Packet]]:
        packets = self._packets()
        knows_times = self._base and self._has_pts and not self.stuck
        if self.pacer is None or self.pacer.takes_all or not knows_times or not (self._local or self.finite):
            return Selection(), packets
        assert self._base
        ahead = LookAhead(packets, Stamps(self._may_be_joined))
        least = least_of(self._context) or "DEFAULT"
        pairs_fields = self._context.name == "h264"
        selection = FileSelection(self.pacer, self._clock, self._base, ahead, least, pairs_fields)
        selection.decode_all(self._whole_to)
        return selection, iter(ahead)

    def _decode(self) -> Iterator[TimedFrame]:
        seams = Seams() if self._may_be_joined else None
        self._skipped += self._selection.skipped
        selection, packets = self._selection, _ = self._select()
        shown, held = float("-inf"), deque[TimedFrame | None]()
        for packet in chain(selection.needed(packets), [self._last_packet()]):
            if packet.size or packet.pts is not None or packet.dts is not None:
                if seams is not None and seams.ahead(packet):
                    self._clock.joined()
                level = selection.level(packet)
                if level == "ALL" and goes_without(self._context):
                    continue
                self._context.skip_frame = level
            elif not self._is_believed:  # nor is what was half read
                break
            try:
                frames = self._decoder.decode(packet)
            except Exception:  # FFmpeg's error, or that of PyAV about something it does not know
                self.damaged += 1
                if selection.failed():
                    return self._again(shown, counted=1)
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                if not selection.arrived(frame):
                    return self._again(shown, counted=frame.is_corrupt)
                times = self._clock.read(frame)
                if times is not None:
                    held.append((*times, frame) if selection.wanted_last else None)
                while len(held) > selection.holds_back:
                    if (timed := held.popleft()) is not None:
                        shown = timed[0]
                        yield timed
        if self._is_believed and not selection.ended():
            return self._again(shown, counted=0)
        yield from (timed for timed in held if timed is not None)
        if self._stopped is not None:
            raise self._stopped

    def _again(self, shown: float, counted: int) -> None:
        """Read on after the frame shown from before it: with what was left out, the next would differ. The damage that
        was counted last is met again."""
        assert isinstance(self._selection, FileSelection)
        self.damaged -= counted
        self._whole_to, place = self._selection.newest, self._selection.place
        self._times_again += 1
        if self._times_again == _MOST_AGAIN:
            self.pacer = None
        self._reopen()
        self.go_to(min(place, max(shown, 0.0)))
        self._timed = (timed for timed in self._timed if timed[0] > shown)


def open_at(
    source: Source,
    start: float,
    timeout: float | None = None,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    pacer: FilePacer | None = None,
) -> Video:
    """Open a video so that its next frame is the one shown at `start` seconds, or one before."""
    video = Video(source, timeout, threads=threads, limits=limits, pacer=pacer)
    try:
        video.go_to(start)
    except BaseException:
        video.close()
        raise
    return video
