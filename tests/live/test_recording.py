"""Clips around events: what the camera sent, neither more nor less, and nobody else's files deleted."""

import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from camera_rig.filming import counter, film
from camera_rig.footage import Footage, nal_units
from camera_rig.http_cameras import MjpegCamera, served
from camera_rig.rtsp_server import RtspCamera
from recorded import FPS, described, packets_of, pictures, play, report, wait

from movinet.errors import MovinetError
from movinet.events import Event
from movinet.live.recording import Recorder, Recorders, Recording
from movinet.live.report import Begun, Ended, Over
from movinet.live.storage import Storage
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.camera.live_source import LiveSource
from movinet.video.remux import Remux


@pytest.fixture(scope="module", params=["h264", pytest.param("hevc", marks=pytest.mark.slow)])
def footage(request: pytest.FixtureRequest) -> Footage:
    return film(request.param, seconds=6, fps=FPS, key_every=0.5, size=(160, 120))


class Scene:
    """A camera that is watched and recorded, with events that the test tells."""

    def __init__(self, folder: Path, url: str, **how: float) -> None:
        self.recording = Recording(folder, **how)
        self.packets = KeptPackets(self.recording.kept)
        storage = Storage(folder, self.recording.days, self.recording.gigabytes)
        self.recorder = Recorder("door", self.packets, self.recording, storage)
        self.source = LiveSource(url, 10, packets=self.packets, retries=0)
        self.numbers: dict[float, int | None] = {}  # by their time
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Scene":
        self.recorder.__enter__()
        self.source.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.recorder.__exit__()
        self.source.close()
        self._thread.join(10)

    def _look(self) -> None:
        for frame in self.source:
            self.numbers[round(frame.time, 3)] = counter(frame.rgb)  # as descriptions have it

    def until(self, moment: float) -> float:
        """Wait for a frame of this second; its time."""
        return wait(lambda: next((at for at in list(self.numbers) if at >= moment), None))

    def event(self, start: float, end: float) -> None:
        start = self.until(start)
        self.recorder.tell(report(Begun(Event("wave", start, None, 0.9))))
        end = self.until(end)
        self.recorder.tell(report(Ended(Event("wave", start, end, 0.9))))


def test_a_clip_is_what_the_camera_sent_around_the_event(footage: Footage, tmp_path: Path) -> None:
    with RtspCamera(footage) as camera, Scene(tmp_path, camera.url(), before=1.0, after=1.0) as scene:
        scene.event(2.0, 3.0)
        wait(lambda: scene.recorder.clips or None)
        (clip,) = tmp_path.glob("door/*.mp4")
        about = described(clip)
        (event,) = about["events"]
        assert (about["source"], event["label"], event["confidence"]) == ("door", "wave", 0.9)
        # It begins with the key frame before, and none of its pictures is missing or comes twice.
        assert event["start"] - 1.0 - 0.6 <= about["start"] <= event["start"] - 1.0 + 0.01
        assert event["end"] + 1.0 - 2 / FPS <= about["end"] <= event["end"] + 1.0
        numbers = pictures(clip)
        assert None not in numbers
        assert numbers == [(numbers[0] + n) % len(footage.units) for n in range(len(numbers))]
        assert len(numbers) == pytest.approx((about["end"] - about["start"]) * FPS + 1, abs=1)
        # The picture that was recognized when the event began is where the description says.
        shown = scene.numbers[event["start"]]
        assert numbers[round(event["in_clip"] * FPS)] == pytest.approx(shown, abs=1)


def test_what_runs_at_the_end_is_kept(footage: Footage, tmp_path: Path) -> None:
    with RtspCamera(footage) as camera, Scene(tmp_path, camera.url()) as scene:
        start = scene.until(0.5)
        scene.recorder.tell(report(Begun(Event("wave", start, None, 0.9))))
        scene.until(1.5)
    (clip,) = tmp_path.glob("door/*.mp4")
    assert len(pictures(clip)) >= FPS
    assert described(clip)["events"][0]["end"] is None


@pytest.mark.slow
def test_events_close_together_share_a_clip(tmp_path: Path) -> None:
    footage = film("mjpeg", seconds=4, fps=FPS, size=(160, 120))
    with served(MjpegCamera(footage)) as url, Scene(tmp_path, url, before=0.5, after=2.0) as scene:
        scene.event(1.0, 1.5)
        scene.event(2.0, 2.5)
        wait(lambda: scene.recorder.clips or None)
        scene.event(8.0, 8.3)
        wait(lambda: scene.recorder.clips if scene.recorder.clips > 1 else None)
    clips = sorted(tmp_path.glob("door/*.mp4"))
    assert [len(described(clip)["events"]) for clip in clips] == [2, 1]


def test_files_are_recorded_as_cameras_are(tmp_path: Path, footage: Footage) -> None:
    clip = tmp_path / "film.mkv"
    with av.open(clip, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for n in range(4 * FPS):
            frame = av.VideoFrame(160, 120, "rgb24")
            frame.planes[0].update(bytes([4 * n]) * frame.planes[0].buffer_size)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    with Scene(tmp_path / "out", str(clip), before=0.5, after=60.0) as scene:
        scene.event(2.0, 2.5)
        scene.recorder.tell(report(Over(None)))
        wait(lambda: scene.recorder.clips or None)
    (made,) = (tmp_path / "out").glob("door/*.mp4")
    assert pictures(made)  # they have no counter, but are there
    assert described(made)["start"] <= 1.5


def test_raw_pictures_are_not_recorded_and_that_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    packets = KeptPackets(5)
    packets.refused = "it sends raw pictures, which only fit into a file encoded"
    with Recorder("door", packets, Recording(tmp_path), Storage(tmp_path, 1, 1)) as recorder:
        recorder.tell(report(Begun(Event("wave", 1.0, None, 0.9))))
        wait(lambda: 1.0 if "raw pictures" in caplog.text else None)
    assert not list(tmp_path.iterdir())


def test_memory_is_bounded(footage: Footage) -> None:
    packets = KeptPackets(1000, most=20_000)
    with RtspCamera(footage) as camera, LiveSource(camera.url(), 10, packets=packets) as source:
        for frame in source:
            if frame.time > 2.0:
                break
    kept = packets.after(0)
    assert kept
    assert sum(len(packet.data) for packet in kept) <= 20_000


def test_what_is_older_goes_key_frame_by_key_frame(footage: Footage, tmp_path: Path) -> None:
    path, packets = tmp_path / "raw", KeptPackets(2.0)
    path.write_bytes(b"".join(unit.data for unit in footage.units))
    with av.open(str(path), format=footage.codec) as container:
        stream = container.streams.video[0]
        for n, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            packets.add(stream, packet, n / FPS)
            kept = packets.after(0)
            assert kept[0].is_key
            assert [one.number for one in kept] == list(range(kept[0].number, n + 1))
            assert min(2.0, n / FPS) - 1e-9 <= kept[-1].moment - kept[0].moment < 2.0 + 0.6
    assert n / FPS > 5


def test_an_event_soon_after_a_loss_is_recorded(footage: Footage, tmp_path: Path) -> None:
    """What is wanted before it was sent by the connection before, which is in no file with it."""
    packets = KeptPackets(60.0)
    for begin in (0.0, 8.0):
        for n, (stream, packet) in enumerate(packets_of(footage, tmp_path / "raw")):
            packets.add(stream, packet, begin + n / FPS)
    first = packets.since(9.0 - 5.0)
    assert first is not None
    (found, *rest) = packets.after(first)
    assert (found.moment, found.is_key, len(rest)) == (8.0, True, 6 * FPS - 1)


def test_a_clip_has_the_times_of_the_stream_whatever_the_stamps_say(footage: Footage, tmp_path: Path) -> None:
    path, packets = tmp_path / "clip.mp4", KeptPackets(60.0)
    for n, (stream, packet) in enumerate(packets_of(footage, tmp_path / "raw")):
        packet.time_base = Fraction(1, 25)  # of MJPEG over HTTP: FFmpeg's guess
        packet.pts = packet.dts = n + (90_000 if n > 2 * FPS else 0) - (180_000 if n > 3 * FPS else 0)
        packets.add(stream, packet, n / FPS)
    kept = packets.after(0)
    with Remux(path, kept[0].connection) as file:
        for one in kept:
            file.add(one.data, one.moment, one.ahead, one.is_key)
    with av.open(path) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / FPS for n in range(6 * FPS)], abs=2e-3)


def test_an_event_may_begin_with_the_first_picture(tmp_path: Path) -> None:
    slow = film(seconds=6, fps=2, size=(160, 120))  # the next comes half a second later
    with RtspCamera(slow) as camera, Scene(tmp_path, camera.url(), after=0.2) as scene:
        first = scene.until(0.0)
        assert scene.packets.since(first) == 0
        scene.event(first, first + 0.5)
        wait(lambda: scene.recorder.clips or None)


def test_a_description_that_speaks_of_months_does_no_harm(tmp_path: Path) -> None:
    """Of how long a picture lasts: FFmpeg refused to write that, and broke down when it was to close the file."""
    months = bytes.fromhex("000000016742c014da11e864000003004000000523c50aa80000000168ce3c80")
    filmed = film(seconds=1, fps=FPS, size=(64, 48))
    units = [
        replace(unit, data=months + b"".join(b"\0\0\0\1" + nal for nal in nal_units(unit.data) if nal[0] & 31 < 6))
        for unit in filmed.units
    ]
    shown = replace(filmed, units=tuple(units))
    packets = KeptPackets(60.0)
    play(packets, shown, tmp_path / "raw")
    with Remux(tmp_path / "clip.mp4", packets.after(0)[0].connection) as file:
        for one in packets.after(0):
            file.add(one.data, one.moment, one.ahead, one.is_key)
    assert len(pictures(tmp_path / "clip.mp4")) == FPS


def test_whoever_comes_between_key_frames_has_the_first_clip_whole(tmp_path: Path) -> None:
    """Time begins with the first picture that can be shown, seconds after the first packet."""
    footage = film("h264", seconds=6, fps=FPS, key_every=1, size=(160, 120))
    with RtspCamera(footage) as camera:
        time.sleep(0.3)
        with Scene(tmp_path, camera.url(), before=1.0, after=0.2) as scene:
            scene.event(0.2, 0.6)
            scene.until(1.2)
    (clip,) = tmp_path.glob("door/*.mp4")
    about, numbers = described(clip), pictures(clip)
    (event,) = about["events"]
    assert about["start"] == pytest.approx(0.0, abs=0.01)
    assert numbers[round(event["in_clip"] * FPS)] == pytest.approx(scene.numbers[event["start"]], abs=1)


def test_two_clips_that_begin_with_one_key_frame_are_two(footage: Footage, tmp_path: Path) -> None:
    packets = KeptPackets(60.0)
    play(packets, footage, tmp_path / "raw")
    recording = Recording(tmp_path, before=5.0, after=0.2)
    with Recorder("door", packets, recording, Storage(tmp_path, 1, 1)) as recorder:
        for start in (1.0, 3.0):
            recorder.tell(report(Begun(Event("wave", start, None, 0.9))))
            recorder.tell(report(Ended(Event("wave", start, start + 0.5, 0.9))))
            wait(lambda done=int(start > 1) + 1: recorder.clips if recorder.clips == done else None)
    events = [described(clip)["events"][0]["start"] for clip in tmp_path.glob("door/*.mp4")]
    assert sorted(events) == [1.0, 3.0]


def as_flv(shown: Footage, path: Path) -> bytes:
    """Its description stands beside the pictures, which begin with their lengths."""
    with av.open(path.with_suffix(".flv"), "w") as flv:
        for n, (stream, packet) in enumerate(packets_of(shown, path)):
            track = flv.streams.video[0] if n else flv.add_stream_from_template(stream)
            packet.stream, packet.time_base = track, Fraction(1, FPS)
            packet.pts = packet.dts = n
            flv.mux_one(packet)
    return path.with_suffix(".flv").read_bytes()


def as_ivf(footage: Sequence[Footage]) -> bytes:
    """What holds VP8 and VP9 one frame after the other, and says nothing of any but of the first one's size."""
    code, first = {"vp8": b"VP80", "vp9": b"VP90"}[footage[0].codec], footage[0]
    units = [unit.data for shown in footage for unit in shown.units]
    head = struct.pack("<4sHH4sHHIIIi", b"DKIF", 0, 32, code, first.width, first.height, FPS, 1, len(units), 0)
    return head + b"".join(struct.pack("<IQ", len(data), n) + data for n, data in enumerate(units))


@pytest.mark.parametrize("kind", ["h264", "flv", "mjpeg", "vp8", "vp9", pytest.param("hevc", marks=pytest.mark.slow)])
def test_pictures_of_another_size_are_in_a_clip_of_their_own(kind: str, tmp_path: Path) -> None:
    small, large = (
        film("h264" if kind == "flv" else kind, seconds=2, fps=FPS, key_every=0.5, size=size, first=first)
        for size, first in (((160, 120), 0), ((320, 240), 100))
    )
    raw, clips, packets = tmp_path / "raw", tmp_path / "clips", KeptPackets(60.0)
    if kind == "flv":
        raw.write_bytes(as_flv(small, tmp_path / "1") + as_flv(large, tmp_path / "2")[13:])
    elif kind in ("vp8", "vp9"):
        raw.write_bytes(as_ivf((small, large)))
    else:
        raw.write_bytes(b"".join(unit.data for footage in (small, large) for unit in footage.units))
    event = Event("wave", 1.0000000000000009, None, 0.9)
    with (
        av.open(str(raw), format="ivf" if kind in ("vp8", "vp9") else kind) as container,
        Recorder("door", packets, Recording(clips, after=0.5), Storage(clips, 1, 1)) as recorder,
    ):
        stream = container.streams.video[0]
        for n, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            if n == 2 * FPS:
                recorder.tell(report(Begun(event)))
                wait(lambda: 1.0 if list(clips.rglob("*.part.m*")) else None)
            packets.add(stream, packet, n / FPS)
        wait(lambda: recorder.clips or None)
        recorder.tell(report(Ended(replace(event, end=3.0000000000000013))))
        wait(lambda: 1.0 if recorder.clips == 2 else None)
    first, second = sorted(clips.glob("door/*.m*"), key=lambda clip: described(clip)["start"])
    assert pictures(first) == list(range(2 * FPS))
    assert pictures(second)[: FPS + 7] == list(range(100, 100 + FPS + 7))
    assert described(second)["events"][0] | {"wall": None} == {
        "label": "wave", "start": 1.0, "end": 3.0, "confidence": 0.9, "wall": None, "in_clip": -1.0,
    }  # fmt: skip
    descriptions = set()
    for clip, width in ((first, 160), (second, 320)):
        with av.open(clip) as made:
            assert (made.streams.video[0].width, described(clip)["events"][0]["start"]) == (width, 1.0)
            descriptions.add(made.streams.video[0].codec_context.extradata)
    assert kind in ("mjpeg", "vp8", "vp9") or len(descriptions) == 2


@pytest.mark.parametrize("wrong", [{"before": -1.0}, {"after": 1e9}, {"days": 0.0}, {"longest": 1.0}])
def test_what_cannot_be_recorded_so_is_refused(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match=next(iter(wrong))):
        Recording(tmp_path, **wrong)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(MovinetError, match="cannot be kept here"):
        Recorders(["door"], Recording(tmp_path / "file" / "clips"))
