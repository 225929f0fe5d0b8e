"""axe finds nothing, in light and dark, large and small; no more is claimed of it than that."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from web.test_page_served import serving
from web.visits import Visit, options, visit

pytestmark = pytest.mark.slow

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "has_touch": True},
    "dark phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}, "has_touch": True},
}


@pytest.fixture(scope="module")
def axe(node_modules: Path) -> str:
    return (node_modules / "axe-core" / "axe.min.js").read_text()


def find(opened: Visit, axe: str) -> list[str]:
    opened.page.evaluate(axe)
    found = opened.page.evaluate("async () => (await axe.run(document)).violations")
    return [f"{one['id']}: {node['html'][:150]}: {node['failureSummary']}" for one in found for node in one["nodes"]]


def is_wide(opened: Visit) -> bool:
    """Whether it has to be moved sideways."""
    return bool(opened.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_alone(browser: Browser, address: str, axe: str, look: str) -> None:
    context = browser.new_context(**options(**LOOKS[look]))
    opened = visit(context, address)
    expect(opened.page.get_by_role("button", name="Use the camera")).to_be_visible()
    assert find(opened, axe) == []
    opened.press("Use the camera")
    expect(opened.page.locator(".row.now").first).to_be_visible()
    assert find(opened, axe) == []
    assert not is_wide(opened)
    opened.press("Stop")
    opened.page.get_by_label("A video file").set_input_files(
        {"name": "no video.mp4", "mimeType": "video/mp4", "buffer": b"none"}
    )
    expect(opened.page.get_by_role("alert")).to_be_visible()
    assert find(opened, axe) == []
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_what_cannot_be_loaded(browser: Browser, address: str, axe: str, look: str) -> None:
    context = browser.new_context(**options(**LOOKS[look]))
    context.route("**/model.tflite", lambda route: route.fulfill(status=404))
    opened = visit(context, address)
    expect(opened.page.get_by_role("alert")).to_be_visible()
    assert find(opened, axe) == []
    context.close()


def test_the_page_of_a_server(browser: Browser, axe: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--new-tokens") as guarded:
        for look in LOOKS.values():
            context = browser.new_context(**options(**look))
            opened = visit(context, guarded.address)
            expect(opened.page.get_by_label("Token")).to_be_visible()
            assert find(opened, axe) == []
            opened.page.get_by_label("Token").fill(guarded.tokens["administrator"])
            opened.press("Enter")
            opened.page.get_by_role("link", name="Cameras").click()
            if look is LOOKS["light"]:
                opened.page.get_by_label("Name").fill("Door")
                opened.page.get_by_label("Address").fill("hand.mp4")
                opened.page.get_by_label("Play a file over and over").check()
                opened.press("Add")
            expect(opened.page.get_by_role("img", name="The newest picture of Door")).to_be_visible()
            expect(opened.page.get_by_role("log")).to_contain_text("Door")
            assert find(opened, axe) == []
            assert not is_wide(opened)
            context.close()
