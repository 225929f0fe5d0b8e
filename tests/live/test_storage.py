"""What is kept of all clips: each has a description, nobody takes what another writes, and nobody else's files go."""

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

import pytest
from camera_rig.filming import counter, film
from camera_rig.footage import Footage
from recorded import FPS, described, pictures, play, report, wait

from movinet.events import Event
from movinet.live.recording import Recorder, Recording
from movinet.live.report import Begun, Over
from movinet.live.storage import Storage, stored_clips
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.decode import read_frames
from movinet.video.remux import Remux, has_pictures


@pytest.fixture(scope="module")
def footage() -> Footage:
    return film(seconds=6, fps=FPS, key_every=0.5, size=(160, 120))


@pytest.mark.parametrize("kind", ["h264", "mjpeg"])
def test_what_a_killed_recording_left_behind_is_finished_an_hour_later(kind: str, tmp_path: Path) -> None:
    footage = film(kind, seconds=3, fps=FPS, size=(160, 120))
    packets, folder = KeptPackets(60.0), tmp_path / "clips" / "door"
    play(packets, footage, tmp_path / "raw")
    folder.mkdir(parents=True)
    left = [folder / f".2026-12-01T14-00-00.250Z_wave{n}.{n}.2.part.mp4" for n in range(3)]
    with Remux(tmp_path / "clip.mp4", packets.after(0)[0].connection) as file:
        for one in packets.after(0):
            file.add(one.data, one.moment, one.ahead, one.is_key)
        for path, data in zip(left, [b"half", file.path.read_bytes(), file.path.read_bytes()], strict=True):
            path.write_bytes(data)
    for path, age in zip(left, (4000, 4000, 100), strict=True):
        os.utime(path, (time.time() - age,) * 2)
    Storage(folder.parent, days=1.0, gigabytes=1.0).make_room()
    assert [path.exists() for path in left] == [False, False, True]
    (stored,) = stored_clips(folder.parent)
    assert stored.clip.name == "2026-12-01T14-00-00.250Z_wave1.mp4"
    assert len(pictures(stored.clip)) >= 2 * FPS - 1
    about = described(stored.clip)
    assert (about["source"], about["began"], about["events"]) == ("door", "2026-12-01T14:00:00.250Z", [])


def test_what_somebody_writes_is_nobody_elses_whatever_the_clock_says(footage: Footage, tmp_path: Path) -> None:
    folder, packets = tmp_path / "clips", KeptPackets(60.0)
    play(packets, footage, tmp_path / "raw")
    with Recorder("door", packets, Recording(folder), Storage(folder, 1, 1)) as recorder:
        recorder.tell(report(Begun(Event("wave", 1.0, None, 0.9))))
        wait(lambda: 1.0 if list(folder.rglob("*.part.mp4")) else None)
        (part,) = folder.rglob("*.part.mp4")
        os.utime(part, (0, 0))  # as after a night asleep, or where the clock was not set yet
        Storage(folder, 1, 1).make_room()
        assert part.exists()
    (stored,) = stored_clips(folder)
    assert pictures(stored.clip) == list(range(6 * FPS))


def test_two_that_record_one_camera_into_one_folder_have_a_clip_each(footage: Footage, tmp_path: Path) -> None:
    folder, packets = tmp_path / "clips", KeptPackets(60.0)  # one for both: pictures come at the same moment
    play(packets, footage, tmp_path / "raw")
    event = Event("wave", 1.0, None, 0.9)
    with ExitStack() as both:
        for _ in range(2):
            recorder = Recorder("door", packets, Recording(folder), Storage(folder, 1, 1))
            both.enter_context(recorder).tell(report(Begun(event)))
        wait(lambda: 1.0 if len(list(folder.rglob("*.part.mp4"))) == 2 else None)
    first, second = sorted(stored.clip for stored in stored_clips(folder))
    assert second.stem == f"{first.stem}_2"
    assert pictures(first) == pictures(second) == list(range(6 * FPS))


@pytest.mark.parametrize("within", [True, False])
def test_a_disk_that_is_full_ends_a_clip_and_loses_none_of_it(
    within: bool, footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, packets = tmp_path / "clips", KeptPackets(60.0)
    play(packets, footage, tmp_path / "raw")
    left = sum(len(one.data) for one in packets.after(0)) // 2 if within else 1 << 30  # bytes on the disk for pictures

    def write(self: FileIO, data: bytes) -> int:
        fits = bytes(data)[: max(0, left - self.tell())]
        FileIO.write(self, fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(fits)

    def fsync(descriptor: int) -> None:
        """Of a description, for which there is no room either, before the clip is cut."""
        if within and not cut:
            raise OSError(errno.ENOSPC, "No space left on device")

    def truncate(path: Path, size: int) -> None:
        cut.append(size)
        with path.open("r+b") as file:
            file.truncate(size)

    cut: list[int] = []
    monkeypatch.setattr("movinet.video.remux._Whole.write", write)
    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr("os.truncate", truncate)
    with Recorder("door", packets, Recording(folder), Storage(folder, 1, 1)) as recorder:
        for n in range(2):
            recorder.tell(report(Begun(Event(f"wave{n}", 1.0, None, 0.9))))
            if not within:
                wait(lambda: 1.0 if recorder._clip is not None and recorder._clip.next == 6 * FPS else None)
                left = 0
                recorder.tell(report(Over(None)))
            wait(lambda n=n: recorder.clips if recorder.clips == n + 1 else None)
            left = left or 1 << 30
    clips = sorted(stored.clip for stored in stored_clips(folder))
    for n, clip in enumerate(clips):
        assert [event["label"] for event in described(clip)["events"]] == [f"wave{n}"]
        # The last picture may be half a one.
        shown = list(read_frames(clip, FPS))
        assert [counter(frame.rgb) for frame in shown] == list(range(len(shown)))
        assert len(cut) == within
        assert FPS <= len(shown) < (4 if within else 6) * FPS
    assert [path.name for path in folder.rglob("*") if ".part" in path.name] == []
    assert caplog.text.count("No space left on device; the clip ends there") == len(clips) - 1 == 1


@pytest.mark.parametrize("killed", [False, True])
def test_no_clip_without_a_description(
    killed: bool, footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never be deleted."""
    folder, packets = tmp_path / "clips", KeptPackets(60.0)
    play(packets, footage, tmp_path / "raw")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    if killed:
        (folder / "door").mkdir(parents=True)
        left = folder / "door" / ".2026-12-01T14-00-00.250Z_wave.1.2.part.mp4"
        with Remux(left, packets.after(0)[0].connection) as file:
            for one in packets.after(0):
                file.add(one.data, one.moment, one.ahead, one.is_key)
        os.utime(left, (0, 0))
        Storage(folder, 1, 1).make_room()
        assert left.exists()  # for when there is room
    else:
        with Recorder("door", packets, Recording(folder), Storage(folder, 1, 1)) as recorder:
            recorder.tell(report(Begun(Event("wave", 1.0, None, 0.9))))
            wait(lambda: 1.0 if list(folder.rglob("*.part.mp4")) else None)
    assert list(folder.glob("door/[!.]*")) == []


def test_what_cannot_be_looked_at_now_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        has_pictures(tmp_path / "missing.mp4")


def clip_of(folder: Path, name: str, size: int, age: float) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    clip, about = folder / f"{name}.mp4", folder / f"{name}.json"
    clip.write_bytes(b"\0" * size)
    about.write_text(json.dumps({"movinet": "recording", "clip": clip.name}))
    for path in (clip, about):
        os.utime(path, (time.time() - age, time.time() - age))
    return iter((clip, about))


def test_the_oldest_go_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    old, new = list(clip_of(tmp_path / "door", "old", 600, 100.0)), list(clip_of(tmp_path / "hall", "new", 600, 10.0))
    mine = tmp_path / "door" / "mine.mp4"
    mine.write_bytes(b"\0" * 5000)
    (tmp_path / "door" / "mine.json").write_text('{"movinet": "else", "clip": "mine.mp4"}')
    (tmp_path / "door" / "lies.json").write_text('{"movinet": "recording", "clip": "../../mine.mp4"}')
    (tmp_path / "door" / "broken.json").write_bytes(b"\xff{")
    assert len(stored_clips(tmp_path)) == 2
    Storage(tmp_path, days=1.0, gigabytes=1e-6).make_room()
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
    assert mine.exists()
    Storage(tmp_path, days=5 / 86_400, gigabytes=1.0).make_room()
    assert not any(path.exists() for path in new)
    assert {path.name for path in (tmp_path / "door").iterdir()} == {
        "mine.mp4", "mine.json", "lies.json", "broken.json"
    }  # fmt: skip
