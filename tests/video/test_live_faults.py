"""What real cameras do to a live source: told in time, back soon, and nothing false in between."""

import time
from itertools import pairwise

import pytest
from camera_rig.filming import film
from camera_rig.footage import Footage
from camera_rig.rtsp_server import RtspCamera
from live_viewer import FPS, TIMEOUT, TOLD, at_once, go_on, viewing

from movinet.errors import LoginRefused, VideoError
from movinet.video.camera.live_source import LiveSource


def test_cameras_that_stop_are_told_in_time_and_found_soon(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=5) as other:
        other.settle()
        at_once(lambda fault: stops(footage, fault), "kill", "hanging", "frozen", "blind")
        assert max(after - before for (before, _, _), (after, _, _) in pairwise(other.seen)) < 0.8
    assert other.changes == []


def stops(footage: Footage, fault: str) -> None:
    with RtspCamera(footage, sound=True) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        if fault == "kill":
            camera.kill()
        else:
            setattr(camera.faults, fault, True)
        stopped = time.monotonic()
        at, lost = viewer.told("lost")
        assert at - stopped < (0.5 if fault == "kill" else TOLD)
        assert lost.seconds < TOLD
        assert lost.time == viewer.seen[-1][1]
        assert abs(lost.wall - time.time()) < 5
        count = len(viewer.seen)
        time.sleep(max(0.0, stopped + 2.5 * TIMEOUT - time.monotonic()))
        assert len(viewer.seen) == count  # nothing false in between
        assert viewer.kinds() == ["lost"]
        returned = time.monotonic()
        if fault == "kill":
            asked = camera.asked.count("DESCRIBE")
            camera.start()
        else:
            setattr(camera.faults, fault, False)
        at, found = viewer.told("found")
        assert at - returned < 2.0
        assert found.seconds == pytest.approx(at - viewer.seen[count - 1][0], abs=0.5)
        if fault == "kill":
            assert camera.asked.count("DESCRIBE") == asked + 1  # by FFmpeg, and not by us again
        viewer.sees()
        go_on(viewer)
        # Time goes on as the clock does.
        (before, begin, _), (after, end, _) = viewer.seen[0], viewer.seen[-1]
        assert end - begin == pytest.approx(after - before, abs=0.25)
    assert viewer.source.reconnects - viewer.reconnects == 1
    assert viewer.source.figures().reconnects == viewer.source.reconnects


def test_one_camera_and_another(footage: Footage) -> None:
    at_once(
        lambda check: check(footage),
        a_short_stop_is_no_loss,
        off_at_the_start_it_is_watched,
        a_wrong_password_is_told_once_and_tried_again_rarely,
        a_password_that_was_changed_is_told_besides_the_loss,
        another_size_goes_on,
        pictures_that_are_late_are_left_out_and_counted,
        damaged_pictures_are_not_recognized,
    )


def a_short_stop_is_no_loss(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.faults.frozen = True
        time.sleep(0.6 * TIMEOUT)
        camera.faults.frozen = False
        viewer.sees()
        go_on(viewer)
    assert viewer.changes == []


def off_at_the_start_it_is_watched(footage: Footage) -> None:
    camera = RtspCamera(footage)
    with camera:
        address = camera.url()
    with viewing(address) as viewer:
        _, lost = viewer.told("lost", within=1.0)
        assert lost.time is None
        assert "Connection refused" in lost.why
        time.sleep(0.3)
        camera.start()
        try:
            viewer.sees(within=2.0)
        finally:
            camera.kill()
    assert viewer.kinds()[:2] == ["lost", "found"]
    assert viewer.source.reconnects == 0  # it was not there before
    assert viewer.seen[0][1] == 0.0


def a_wrong_password_is_told_once_and_tried_again_rarely(footage: Footage) -> None:
    with RtspCamera(footage, user="me", password="right") as camera:
        address = camera.url().replace("right", "wrong")
        with viewing(address) as viewer:
            _, lost = viewer.told("lost")
            assert "401" in lost.why
            assert "wrong" not in lost.why
            time.sleep(1.0)
            assert camera.asked.count("OPTIONS") == 1
            assert viewer.kinds() == ["lost"]
        with pytest.raises(LoginRefused, match="is the password right"), LiveSource(address, 5, retries=0):
            pass


def a_password_that_was_changed_is_told_besides_the_loss(footage: Footage) -> None:
    with RtspCamera(footage, user="me", password="right") as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.password = "other"
        camera.kill()
        camera.start()
        viewer.wait(lambda: any("401" in change.why for _, change in viewer.changes))
    assert set(viewer.kinds()) == {"lost"}


def test_stamps_that_jump_silence_nothing(footage: Footage) -> None:
    at_once(lambda jump: jumps(footage, jump), 3600.0, -3600.0, -0.8, 0.5)


def jumps(footage: Footage, jump: float) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.faults.jump = jump
        viewer.sees(15)
        go_on(viewer)
        whens = [when for when, _, _ in viewer.seen]
        times = [moment for _, moment, _ in viewer.seen]
        assert max(after - before for before, after in pairwise(whens)) < 0.6
        assert max(after - before for before, after in pairwise(times)) < 0.4 + max(0, jump % 3600)
    assert viewer.changes == []


def another_size_goes_on(footage: Footage) -> None:
    smaller = film(seconds=1, fps=FPS, key_every=0.4, size=(128, 96))
    with RtspCamera(footage) as camera, LiveSource(camera.url(), 10, timeout=TIMEOUT) as source:
        next(source)
        camera.show(smaller)
        shapes = {next(source).rgb.shape for _ in range(10)}
    assert {(120, 160, 3), (96, 128, 3)} >= shapes
    assert (96, 128, 3) in shapes
    assert source.reconnects == 0


@pytest.mark.parametrize("transports", [("udp",), ("tcp",)])
def test_transports(footage: Footage, transports: tuple[str, ...]) -> None:
    other = {"udp": "tcp", "tcp": "udp"}[transports[0]]
    with RtspCamera(footage, transports=transports, sound=True) as camera:
        with viewing(camera.url(), transport=transports[0]) as viewer:
            viewer.sees(10)
        with (
            pytest.raises(VideoError, match=f"--transport {transports[0]}"),
            LiveSource(camera.url(), 5, retries=0, transport=other),
        ):
            pass
    assert None not in [number for _, _, number in viewer.seen]


def test_first_frame_within_a_key_frame_interval(footage: Footage) -> None:
    with RtspCamera(footage, sound=True) as camera:
        taken = []
        for _ in range(3):
            began = time.monotonic()
            with LiveSource(camera.url(), 10) as source:
                next(source)
            taken.append(time.monotonic() - began)
    assert sorted(taken)[1] < 0.4 + 0.5  # one may meet a busy machine


def test_every_frame_that_is_due_comes(footage: Footage) -> None:
    at_once(lambda fps: all_come(footage, fps), 10, FPS, 60)


def all_come(footage: Footage, fps: int) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=fps) as viewer:
        viewer.sees(2 * min(fps, FPS))
    numbers = [number for _, _, number in viewer.seen]
    steps = [(after - before) % (4 * FPS) for before, after in pairwise(numbers)]
    assert set(steps) <= ({1} if fps >= FPS else {2, 3})
    assert viewer.source.dropped == 0
    sent = {one.number: one.at for one in camera.sent}
    late = sorted(when - sent[number] for when, _, number in viewer.seen[5:-5])
    assert late[len(late) // 4] < 1 / FPS + 0.02


def pictures_that_are_late_are_left_out_and_counted(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), max_lag=0.3, timeout=3) as viewer:
        viewer.settle()
        camera.faults.holding = True
        time.sleep(1.0)
        camera.faults.holding = False
        viewer.told("caught_up")
        viewer.sees()
    kinds = viewer.kinds()
    assert kinds[:2] == ["lagging", "caught_up"]
    assert set(kinds) == {"lagging", "caught_up"}
    assert viewer.changes[0][1].seconds > 0.3


def damaged_pictures_are_not_recognized(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), timeout=5) as viewer:
        viewer.sees()
        camera.faults.damaged = 0.9
        _, lost = viewer.told("lost")
        assert "damaged" in lost.why
        count = len(viewer.seen)
        time.sleep(0.5)
        assert len(viewer.seen) <= count + 1
        camera.faults.damaged = 0.0
        viewer.told("found")
        viewer.sees()
    assert viewer.source.figures().damaged > 5
    assert viewer.source.reconnects == 0
