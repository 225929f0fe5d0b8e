"""Take the pictures of the page in docs/images: alone in light, dark and on a phone, and a server's cameras.

    python scripts/draw_page.py docs/images

Needs Chromium or Chrome (MOVINET_CHROMIUM, or on the path) and the extra `serve`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.export.export import export
from movinet.video.encode import encode_video
from movinet.weights.load import load_weights

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from static_host import host  # type: ignore[import-not-found]

MODEL = "movinet_t0_stream.gestures"
LOOKS: dict[str, dict[str, Any]] = {
    "page": {"color_scheme": "light", "viewport": {"width": 1120, "height": 700}},
    "page_dark": {"color_scheme": "dark", "viewport": {"width": 1120, "height": 700}},
    "page_phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
CAMERAS = (("Bench 1", "star", 1), ("Bench 2", "swipe_left", 3), ("Door", "tick", 2), ("Store", "square", 4))
SIZE = (192, 256)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "movinet", "serve", "--port", "0", "--state", str(folder / "state")]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([*command, "--files", str(folder / "videos")], stdout=output, stderr=output)
        try:
            while (found := re.search(r"serves at (http://[\d.]+:\d+/)", log.read_text())) is None:
                if process.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.1)
            yield found[1]
        finally:
            process.terminate()
            process.wait()


def save(page: Page, path: Path) -> None:
    page.screenshot(path=path, full_page=False, type="jpeg", quality=82)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def draw_alone(browser: Browser, folder: Path, out: Path) -> None:
    """A star in the middle of a rendered clip, as the exported page sees it."""
    export(load_weights(MODEL), "browser", folder / "page")
    clip = folder / "star.mp4"
    encode_video(clip, render_gesture("star", 1, SIZE, 24, 5.0).frames, 5.0)
    with host(folder / "page") as url:
        for name, look in LOOKS.items():
            page = browser.new_page(**look)
            page.goto(url)
            page.get_by_label("A video file").set_input_files(clip, timeout=60_000)
            page.locator('.large[data-label="star"]').wait_for(timeout=60_000)
            page.wait_for_timeout(1200)
            save(page, out / f"{name}.jpg")
            page.close()


def draw_wall(browser: Browser, folder: Path, out: Path) -> None:
    videos = folder / "videos"
    videos.mkdir()
    for name, label, seed in CAMERAS:
        encode_video(videos / f"{name}.mp4", render_gesture(label, seed, SIZE, 24, 5.0).frames, 5.0)
    with serving(folder) as url:
        page = browser.new_page(color_scheme="light", viewport={"width": 1120, "height": 700})
        page.goto(f"{url}#cameras")
        for name, _, _ in CAMERAS:
            page.get_by_label("Name").fill(name, timeout=60_000)
            page.get_by_label("Address").fill(f"{name}.mp4")
            page.get_by_label("Play a file over and over").check()
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_role("img", name=f"The newest picture of {name}").wait_for(timeout=60_000)
        page.get_by_role("log").get_by_text("Door").first.wait_for(timeout=60_000)
        page.wait_for_timeout(4000)
        page.evaluate("scrollTo(0, 0)")
        page.evaluate("document.activeElement.blur()")
        save(page, out / "page_wall.jpg")
        page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    chromium = os.environ.get("MOVINET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium or Chrome: MOVINET_CHROMIUM names one")
    with TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        draw_alone(browser, Path(temporary), out)
        draw_wall(browser, Path(temporary), out)
        browser.close()


if __name__ == "__main__":
    main()
