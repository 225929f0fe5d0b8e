"""A real browser without a window, and the exported page on a host as strict as any."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from web.fake_camera import write_y4m

from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.export.export import export
from movinet.weights.load import load_weights

pytest.importorskip("playwright")
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
WEB = Path(__file__).parents[2] / "web"
FILMED = "swipe_left"  # by the fake camera, over and over
PATIENCE = 60_000  # milliseconds, on a busy machine
expect.set_options(timeout=PATIENCE)


def chromium() -> str:
    """The browser's path; skips where there is none."""
    named = os.environ.get("MOVINET_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium or Chrome: MOVINET_CHROMIUM names one")
    return found


class _Strict(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", STRICT)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def host(folder: Path) -> Iterator[str]:
    """A static host of a folder; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Strict, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Visit:
    """A page that somebody has open, and what it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def expect_answer(self, label: str) -> None:
        self.page.locator(f'.large[data-label="{label}"]').wait_for(timeout=PATIENCE)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click(timeout=PATIENCE)


def visit(context: BrowserContext, url: str) -> Visit:
    """Open a page and listen to it."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    opened = Visit(page)

    def heard(message: ConsoleMessage) -> None:
        opened.said.append(f"{message.type}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
    page.on("request", lambda request: opened.asked.append(request.url))
    page.goto(url)
    return opened


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page is built with, as the lock has it: there already, or installed; skips where neither can be."""
    if (WEB / "node_modules").is_dir():
        return WEB / "node_modules"
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(WEB / name, folder / name)
    done = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        pytest.skip(f"npm ci cannot install: {done.stderr[-300:]}")
    return folder / "node_modules"


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network, exported for browsers."""
    folder = tmp_path_factory.mktemp("page") / "gestures"
    export(load_weights("movinet_t0_stream.gestures"), "browser", folder)
    return folder


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera films."""
    path = tmp_path_factory.mktemp("camera") / "gesture.y4m"
    clip = render_gesture(FILMED, 3, size=(96, 128), frames=24, fps=5.0)
    write_y4m(path, clip.frames, 5)
    return path


@pytest.fixture(scope="module")
def browser(camera_clip: Path) -> Iterator[Browser]:
    """Chromium with a fake camera. Of a module: its event loop must not run under others' tests."""
    path = chromium()
    flags = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_clip}",
        "--host-resolver-rules=MAP page.example 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=flags)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(page_folder: Path) -> Iterator[str]:
    with host(page_folder) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(**options())
    yield fresh
    fresh.close()


def options(**other: Any) -> dict[str, Any]:
    return {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | other
