"""Somebody who visits the page in a real browser without a window, on a host as strict as any."""

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect
from static_host import host

STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
)
WEB = Path(__file__).parents[2] / "web"
FILMED = "swipe_left"  # by the fake camera, over and over
PATIENCE = 120_000  # milliseconds, on a busy machine
expect.set_options(timeout=PATIENCE)


def chromium() -> str:
    """The browser's path; skips where there is none."""
    named = os.environ.get("MOVINET_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium or Chrome: MOVINET_CHROMIUM names one")
    return found


def strictly_hosted(folder: Path) -> AbstractContextManager[str]:
    """The address of a host of a folder that allows the page what it needs and nothing else."""
    return host(folder, {"Content-Security-Policy": STRICT, "Cache-Control": "no-store"})


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


def options(**other: Any) -> dict[str, Any]:
    return {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | other
