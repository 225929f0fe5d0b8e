"""The page by `movinet serve`: this device's camera, tokens, and the server's own cameras on a wall."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from web.visits import FILMED, PATIENCE, options, visit

from movinet.video.sample import sample_clip

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")


@dataclass(frozen=True)
class Serving:
    """A server that runs."""

    address: str
    tokens: dict[str, str]  # by role


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[Serving]:
    """`movinet serve` in a process of its own, with a folder of one video."""
    files = folder / "videos"
    files.mkdir()
    shutil.copy(sample_clip(), files / "hand.mp4")
    command = [sys.executable, "-m", "movinet", "serve", "--port", "0", "--state", str(folder / "state")]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--files", str(files), *more],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "500"},
        )
        try:
            yield _started(process, log)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _started(process: subprocess.Popen[bytes], log: Path) -> Serving:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until and process.poll() is None:
        said = log.read_text()
        if found := re.search(r"serves at (http://[\d.]+:\d+/)", said):
            return Serving(found[1], dict(re.findall(r"(\w+)'s token, shown this once: (\S+)", said)))
        time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_this_devices_camera_is_recognized_by_the_server(context: BrowserContext, server: Serving) -> None:
    opened = visit(context, server.address)
    opened.press("Use the camera")
    opened.expect_answer(FILMED)
    expect(opened.page.locator(".figures")).to_contain_text(re.compile(r"Delay\s*\d+ ms"))
    opened.page.get_by_label("An event begins at").fill("1")  # which the server is told
    opened.press("Forget the past")
    expect(opened.page.locator(".large.unsure")).to_contain_text("not sure enough")
    opened.press("Stop")
    expect(opened.page.locator(".large")).to_contain_text("Nothing is playing")
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith((server.address, "blob:"))} == set()


@pytest.mark.slow
def test_cameras_of_the_server_are_added_and_removed(context: BrowserContext, server: Serving) -> None:
    opened = visit(context, f"{server.address}#cameras")
    page = opened.page
    page.get_by_label("Name").fill("Front door")
    page.get_by_label("Address").fill("nowhere.mp4")
    opened.press("Add")
    expect(page.get_by_role("alert")).to_contain_text("nowhere.mp4")
    opened.said.clear()  # the refusal, which browsers log
    page.get_by_label("Address").fill("hand.mp4")
    page.get_by_label("Play a file over and over").check()
    opened.press("Add")
    tile = page.get_by_role("listitem").filter(has_text="Front door").filter(has=page.get_by_role("heading"))
    expect(tile.get_by_text("Star", exact=True)).to_be_visible()
    expect(tile.get_by_role("img")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Star")
    page.once("dialog", lambda dialog: dialog.accept())
    opened.press("Remove Front door")
    expect(page.get_by_text("The server watches no cameras yet")).to_be_visible()
    assert opened.said == []


@pytest.mark.slow
def test_a_server_that_goes_and_comes_back(context: BrowserContext, server: Serving) -> None:
    """The last answer does not stay on the screen, and nobody has to do anything."""
    context.add_init_script(
        """const Real = WebSocket;
        window.sockets = [];
        window.gone = false;
        window.WebSocket = class extends Real {
            constructor(...all) {
                super(...all);
                sockets.push(this);
                if (gone) this.close();
            }
        };"""
    )
    opened = visit(context, server.address)
    opened.press("Use the camera")
    opened.expect_answer(FILMED)
    opened.page.evaluate("() => { gone = true; sockets.at(-1).close(); }")
    expect(opened.page.get_by_role("alert")).to_contain_text("Trying again")
    expect(opened.page.locator(".row.now")).to_have_count(0)
    opened.page.evaluate("() => { gone = false; }")
    opened.expect_answer(FILMED)
    expect(opened.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.slow
def test_a_token_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, "--new-tokens") as guarded:
        for role, adds in (("viewer", 0), ("administrator", 1)):
            context = browser.new_context(**options())
            opened = visit(context, guarded.address)
            opened.page.get_by_label("Token").fill("a guess")
            opened.press("Enter")
            expect(opened.page.get_by_role("alert")).to_be_visible()
            opened.page.get_by_label("Token").fill(guarded.tokens[role])
            opened.press("Enter")
            opened.press("Use the camera")
            opened.expect_answer(FILMED)
            opened.page.get_by_role("link", name="Cameras").click()
            expect(opened.page.get_by_text("The server watches no cameras")).to_be_visible()
            expect(opened.page.get_by_role("heading", name="Add a camera")).to_have_count(adds)
            opened.press("Log out")
            expect(opened.page.get_by_label("Token")).to_be_visible()
            context.close()
