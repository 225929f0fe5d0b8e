"""Passwords are shown nowhere, whatever is in them and wherever they are written."""

import logging
import pickle
import traceback
from urllib.parse import quote

import av.logging
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Answer, site
from secret_shapes import SHAPES, passwords, shows, written

from movinet.errors import VideoError
from movinet.video.container import Video
from movinet.video.locations import Track
from movinet.video.net.login import Address, Login
from movinet.video.net.sources import without_password


@pytest.mark.parametrize("shape", SHAPES)
@given(passwords)
def test_no_name_has_any_part_of_a_password(shape: str, password: str) -> None:
    source = written(shape, password)
    try:
        address = Address.of(source)
        told = [str(address), repr(address)]
    except VideoError as error:
        told = [everything_of(error)]
    for shown in (without_password(source), repr(Track(source, 1)), *told):
        assert not shows(shown)
        assert not shows(without_password(shown))


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_login_comes_out_of_an_address_and_goes_back_into_it(user: str, password: str) -> None:
    login = Login(user.encode("utf-8", "ignore").decode(), password.encode("utf-8", "ignore").decode())
    again = Address.of(Address("rtsp://cam.local:554/stream?a=b", login).for_ffmpeg())
    assert again == Address("rtsp://cam.local:554/stream?a=b", login)
    assert pickle.loads(pickle.dumps(again)) == again, "a process of its own may be given it"


@pytest.mark.parametrize(
    ("text", "url", "user", "password"),
    [
        ("rtsp://u:p@cam/x", "rtsp://cam/x", "u", "p"),
        ("rtsp://u:S3cr@tPw@cam:554/x", "rtsp://cam:554/x", "u", "S3cr@tPw"),
        ("rtsp://u:a/b?c#d@cam/x", "rtsp://cam/x", "u", "a/b?c#d"),
        ("http://u:a%2Fb%25@cam/x%402", "http://cam/x%402", "u", "a/b%"),
        ("http://u@cam/x", "http://cam/x", "u", ""),
    ],
)
def test_a_login_is_understood_as_people_write_it(text: str, url: str, user: str, password: str) -> None:
    assert Address.of(text) == Address(url, Login(user, password))


def test_without_a_login_an_address_stays_as_it_is() -> None:
    for text in ("rtsp://cam/x", "http://cam:80/a@2x.mp4", "http://[::1/x", "http://cam:port/x"):
        assert Address.of(text) == Address(text)


def test_an_address_that_may_be_read_in_two_ways_is_refused() -> None:
    """Else what is part of a password would be asked for as a host, and be in the message that there is none."""
    with pytest.raises(VideoError, match=r"^rtsp://\*\*\*@cam/x: may be read in two ways.*%40"):
        Address.of("rtsp://user:p@ss/word@cam/x")


def everything_of(error: BaseException) -> str:
    """All that a log, a debugger's first look or a crash report shows of an exception."""
    text = "".join(traceback.format_exception(error))
    inner: BaseException | None = error
    while inner is not None:
        text += f"{inner!r} {inner} {inner.args!r}"
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    return text


@pytest.mark.parametrize("password", ["§x§", "§@§:§/§%§ §", "§?§#§&§=§"])
def test_no_error_and_no_line_of_any_log_has_a_password(caplog: pytest.LogCaptureFixture, password: str) -> None:
    refused = Answer(b"", 401, {"WWW-Authenticate": "Basic"})
    before = av.logging.get_level()
    av.logging.set_level(av.logging.DEBUG)  # FFmpeg's own lines come by Python's logging
    try:
        with caplog.at_level(logging.DEBUG), site({"/": refused, "/text": b"no video at all"}) as web:
            there = f"127.0.0.1:{web.port}"
            safe = quote(password, safe="")
            for source in (
                f"rtsp://user:{safe}@127.0.0.1:9/x",
                f"rtsp://user:{password}@127.0.0.1:9/x",
                f"rtsp://127.0.0.1:9/user=admin_password={safe}_channel=1",
                f"rtmp://user:{safe}@127.0.0.1:9/x",
                f"tcp://user:{safe}@127.0.0.1:9",
                f"http://user:{safe}@{there}/",
                f"http://user:{safe}@{there}/text",
                f"http://{there}/text?user=admin&pwd={safe}",
                f"http://{there}/?user=admin&pwd={safe}",
                f"gopher://user:{safe}@{there}/",
                f"file://user:{safe}@{there}/x.mp4",
                f"user:{password}@{there}/",
            ):
                with pytest.raises(VideoError) as told:
                    Video(source, timeout=5).close()
                assert not shows(everything_of(told.value)), source
    finally:
        av.logging.set_level(before)
    assert not shows(caplog.text)


def test_what_a_server_says_is_shown_without_the_password() -> None:
    """Its words go into messages."""
    assert (
        Login("user", "S3cr@t/Pw").hide("no S3cr@t/Pw, S3cr%40t/Pw or S3cr%40t%2FPw here") == "no ***, *** or *** here"
    )
    assert Login("user", "").hide("nothing to hide") == "nothing to hide"
