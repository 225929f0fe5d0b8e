"""Whatever a password is and wherever it is written: nothing that is made of a camera shows any part of it."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from reports import ONE_OF_EACH, report
from rich.console import Console
from secret_shapes import SHAPES, passwords, shows, written

from movinet.cli.check_cameras import show_cameras
from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.live.cameras import Camera, told_apart
from movinet.live.command import Command
from movinet.live.json_lines import as_json
from movinet.live.view import View, as_line
from movinet.live.webhook import Webhook
from movinet.video.camera.live_source import LiveSource
from movinet.video.net.credentials import Credentials
from movinet.video.net.login import Address, Login
from movinet.video.net.opening import open_address
from movinet.video.net.sources import DEFAULT_LIMITS


def everything_shown(cameras: list[Camera], logins: Credentials, environment: dict[str, str]) -> Iterator[str]:
    """By every way there is from a camera to somebody's eyes, but for those that need a camera."""
    named = told_apart(cameras)
    assert len({camera.name for camera in named}) == len(cameras), "those that look alike are told apart"
    names = [camera.shown for camera in named]
    yield repr(named)
    yield repr(logins)
    for name in names:
        for what in ONE_OF_EACH.values():
            line = as_json(report(what, name))
            yield dump_json(line)
            yield str(as_line(report(what, name)))
            yield repr(Command(("x",)).environment(line, environment))
    console, view = Console(width=200, height=60, record=True, file=StringIO()), View(names, "network")
    for name, what in zip(names, ("lost", "over", "begun", "prediction", "lagging"), strict=True):
        view.take(report(ONE_OF_EACH["prediction"], name))
        view.take(report(ONE_OF_EACH[what], name))
    console.print(view)
    yield console.export_text()
    for camera in named:
        try:
            source = camera.source(logins, environment)
        except MovinetError as error:
            yield str(error)
            continue
        live = LiveSource(source, 5)
        yield f"{live!r} {live.name} {live._wanted!r}"
        with redirect_stdout(StringIO()) as text:
            show_cameras([camera], [source], as_json=True)
            show_cameras([camera], [source], as_json=False)
        yield text.getvalue()
        if isinstance(source, Address):
            yield repr(source)
            unknown = Address("gopher" + source.url[source.url.index(":") :], source.login)
            with pytest.raises(MovinetError) as told:
                open_address(unknown, DEFAULT_LIMITS, 1.0, {})
            yield str(told.value)
        if camera.webhook is not None:
            yield shown_of_webhook(camera.webhook, environment["MOVINET_PASSWORD"])


def shown_of_webhook(address: str, header: str) -> str:
    try:
        hook = Webhook.of(address, environment={"MOVINET_WEBHOOK_HEADER": header})
    except MovinetError as error:
        return str(error)
    return f"{hook!r} {hook.name}"


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=8, deadline=None)
@given(passwords)
def test_no_way_to_anybodys_eyes_has_any_part_of_a_password(shape: str, password: str) -> None:
    cameras: list[dict[str, Any]] = [
        {"address": written(shape, password), "webhook": written(shape, password)},
        {"address": written(shape, password + "x")},
        {"name": "entry", "address": "rtsp://cam.local/x", "user": "me", "password": password},
        {"name": "listed", "address": "rtsp://cam.local/y"},
        {"name": "environment", "address": "rtsp://cam.local/z"},
    ]
    logins = Credentials({"listed": Login("me", password)})
    environment = {"MOVINET_PASSWORD": password, "MOVINET_PASSWORD_ENVIRONMENT": password}
    for text in everything_shown([Camera(**camera) for camera in cameras], logins, environment):
        assert not shows(text), text
