"""The exported page by itself, in a real browser: it recognizes, says what is wrong, and sends nothing anywhere."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from web.visits import FILMED, Visit, visit


@pytest.fixture
def opened(context: BrowserContext, address: str) -> Visit:
    found = visit(context, address)
    found.page.get_by_role("button", name="Use the camera").wait_for()
    return found


def test_the_sample_is_recognized_and_nothing_leaves(opened: Visit, address: str) -> None:
    opened.press("Play a sample")
    opened.expect_answer("star")
    expect(opened.page.locator(".events")).to_contain_text("Star")
    expect(opened.page.get_by_role("status")).to_contain_text("Star")
    expect(opened.page.locator(".large")).to_contain_text("The video has ended")
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith((address, f"blob:{address}"))} == set()
    assert opened.page.title() == "MoViNet"


def test_a_camera_is_recognized(opened: Visit) -> None:
    opened.press("Use the camera")
    opened.expect_answer(FILMED)
    expect(opened.page.locator("video")).to_have_class("mirrored")
    opened.press("Stop")
    expect(opened.page.locator(".large")).to_contain_text("Nothing is playing")
    assert opened.page.locator("video").evaluate("(video) => video.srcObject") is None
    assert opened.said == []


def test_what_an_earlier_source_showed_does_not_stay(opened: Visit, tmp_path: Path) -> None:
    opened.press("Play a sample")
    opened.expect_answer("star")
    opened.press("Stop")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 4096)
    opened.page.get_by_label("A video file").set_input_files(broken)
    expect(opened.page.get_by_role("alert")).to_contain_text("This browser cannot play broken.mp4")
    expect(opened.page.locator(".large")).to_contain_text("Nothing is playing")
    assert set(opened.page.locator(".bars .number").all_inner_texts()) == {"0 %"}
    opened.press("Play a sample")  # and the next source plays
    opened.expect_answer("star")
    expect(opened.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.slow
def test_rows_stay_where_they_are(opened: Visit) -> None:
    labels = opened.page.locator(".bars .label")
    before = labels.all_inner_texts()
    assert before[-1] == "Other"  # what is no event comes last
    assert "Circle counterclockwise" in before
    opened.press("Play a sample")
    opened.expect_answer("star")
    assert labels.all_inner_texts() == before


@pytest.mark.slow
def test_without_https_the_page_says_why_there_is_no_camera(context: BrowserContext, address: str) -> None:
    opened = visit(context, address.replace("127.0.0.1", "page.example"))
    opened.press("Use the camera")
    expect(opened.page.get_by_role("alert")).to_contain_text("https:// and on localhost only")
    opened.press("Play a sample")
    opened.expect_answer("star")


@pytest.mark.slow
def test_a_refused_camera_is_told(context: BrowserContext, address: str) -> None:
    opened = visit(context, address)
    opened.page.evaluate(
        """() => {
            navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
        }"""
    )
    opened.press("Use the camera")
    expect(opened.page.get_by_role("alert")).to_contain_text("did not allow the camera")


@pytest.mark.slow
def test_a_missing_file_is_told(context: BrowserContext, address: str) -> None:
    context.route("**/model.tflite", lambda route: route.fulfill(status=404))
    opened = visit(context, address)
    expect(opened.page.get_by_role("alert")).to_contain_text("The network could not be loaded: the host answered 404")


def test_all_of_it_works_by_keyboard(opened: Visit) -> None:
    keyboard, focused = opened.page.keyboard, opened.page.locator(":focus")
    for name in ("Use the camera", "Choose a video", "Play a sample"):
        keyboard.press("Tab")
        expect(focused).to_have_text(name)
    keyboard.press("Enter")
    opened.expect_answer("star")
    opened.page.get_by_role("button", name="Stop").focus()
    for name in ("Play again", "Forget the past"):
        keyboard.press("Tab")
        expect(focused).to_have_text(name)
    on = opened.page.get_by_label("An event begins at")
    for _ in range(30):
        keyboard.press("Tab")
        if on.evaluate("(slider) => slider === document.activeElement"):
            break
    keyboard.press("End")
    assert on.input_value() == "1"
    keyboard.press("Home")
    assert on.input_value() == "0.1"
    # An event ends below where it begins; the page shows it a moment later.
    expect(opened.page.get_by_label("and ends below")).to_have_value(re.compile(r"0\.0\d*"))


@pytest.mark.slow
def test_thresholds_and_memory_take_effect(opened: Visit) -> None:
    opened.page.get_by_label("An event begins at").fill("1")
    opened.press("Play a sample")
    expect(opened.page.locator(".large")).to_contain_text("The video has ended")
    expect(opened.page.locator(".timeline")).to_contain_text("Events appear here")
    opened.page.get_by_label("An event begins at").fill("0.5")
    opened.page.get_by_label("Memory").fill("60")
    expect(opened.page.locator(".settings")).to_contain_text("never forgets")
    opened.press("Play again")
    opened.expect_answer("star")


@pytest.mark.slow
def test_a_video_is_dropped_on_the_page(opened: Visit) -> None:
    opened.page.evaluate(
        """async () => {
            const clip = await (await fetch("sample.mp4")).blob();
            const given = new DataTransfer();
            given.items.add(new File([clip], "dropped.mp4", { type: "video/mp4" }));
            const drop = new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true });
            document.querySelector(".screen").dispatchEvent(drop);
        }"""
    )
    opened.expect_answer("star")
