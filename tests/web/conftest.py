"""A browser with a fake camera, the page it visits, and what the page is built with."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from web.fake_camera import write_y4m
from web.visits import FILMED, WEB, chromium, options, strictly_hosted

from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.export.export import export
from movinet.weights.load import load_weights


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
    with strictly_hosted(page_folder) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(**options())
    yield fresh
    fresh.close()
