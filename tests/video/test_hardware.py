"""Decoding by hardware, and by the processor where there is none."""

import logging

import av
import pytest
from camera_rig.filming import counter, film
from camera_rig.rtsp_server import RtspCamera

from movinet.video.camera import hardware
from movinet.video.camera.live_source import LiveSource


@pytest.fixture(autouse=True)
def _fresh() -> None:
    hardware._hindrance.cache_clear()


def test_none_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    assert hardware.accelerator(False, "camera") is None
    assert not caplog.records


@pytest.mark.parametrize("wanted", [True, "auto", "cuda", "no such thing"])
def test_without_hardware_the_processor_decodes_and_a_warning_says_so(
    wanted: bool | str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hardware, "HWAccel", refuse)
    with (
        caplog.at_level(logging.WARNING),
        RtspCamera(film(seconds=1, key_every=0.2)) as camera,
        LiveSource(camera.url(), 5, hardware=wanted, timeout=3) as source,
    ):
        assert counter(next(source).rgb) is not None
    (record,) = [record for record in caplog.records if record.name == "movinet.video.camera.hardware"]
    assert "decoded by the processor" in record.getMessage()
    if isinstance(wanted, str) and wanted != "auto":
        assert wanted in record.getMessage()


def test_hardware_that_has_nothing_for_the_codec(caplog: pytest.LogCaptureFixture) -> None:
    context = av.CodecContext.create("mjpeg", "r")
    hardware.tell_used(context, None, "camera")
    assert not caplog.records
    hardware.tell_used(context, object(), "camera")
    assert "nothing for mjpeg" in caplog.text
