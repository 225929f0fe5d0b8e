"""What the page computes in its own language is what the package computes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from web.visits import Visit, options, strictly_hosted, visit

from movinet.deploy.run_file import run_litert
from movinet.events import EventDetector
from movinet.export.export import export
from movinet.export.verify import example_clips, follow
from movinet.prediction import Prediction
from movinet.video.pacer import LivePacer
from movinet.video.transform import Transform, scale_levels
from movinet.weights.info import WeightsInfo
from movinet.weights.operating_point import Thresholds
from movinet.weights.weights import Weights

LABELS = ("a", "b", "other")


@pytest.fixture(scope="module")
def library(browser: Browser, address: str) -> Iterator[Visit]:
    """A page that has loaded `movinet.js`, as one of somebody's own would."""
    context = browser.new_context(**options())
    found = visit(context, f"{address}licenses.txt")
    found.page.evaluate("async (url) => { window.movinet = await import(url); }", f"{address}movinet.js")
    yield found
    context.close()


TRANSFORMS = st.builds(
    Transform,
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    resize_short=st.integers(1, 400),
    fps=st.just(5.0),
)


@settings(max_examples=3)
@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000), TRANSFORMS), min_size=40, max_size=40))
def test_the_part_of_the_picture(library: Visit, cases: list[tuple[int, int, Transform]]) -> None:
    found = library.page.evaluate(
        "(cases) => cases.map((one) => movinet.crop(...one))",
        [(width, height, transform.to_dict()) for width, height, transform in cases],
    )
    for (width, height, transform), part in zip(cases, found, strict=True):
        tall, wide = transform.resized(height, width)
        top, left = ((a - b) // 2 for a, b in zip((tall, wide), transform.size, strict=True))
        expected = [left / wide * width, top / tall * height]
        expected += [transform.size[1] / wide * width, transform.size[0] / tall * height]
        # Where exact fractions and floats round otherwise, the crop is off by a pixel of the resized picture.
        crop = [part[side] for side in ("x", "y", "width", "height")]
        np.testing.assert_allclose(crop, expected, atol=1.01 * max(width / wide, height / tall))


@settings(max_examples=20)
@given(st.lists(st.floats(-0.5, 3).map(lambda x: round(x, 3)), min_size=1, max_size=60), st.sampled_from([5.0, 12.5]))
def test_the_frames_that_are_due(library: Visit, steps: list[float], fps: float) -> None:
    times = [round(float(time), 3) for time in np.cumsum(np.abs(steps) / 8)]
    times = [time - 4 * (step < -0.4) for time, step in zip(times, steps, strict=True)]  # a clock that is set back
    pacer = LivePacer(fps)
    expected = [(pacer.is_gap(time), pacer.is_due(time)) for time in times]
    found = library.page.evaluate(
        """([times, fps]) => {
            const pacer = new movinet.Pacer(fps);
            return times.map((time) => [pacer.isGap(time), pacer.isDue(time)]);
        }""",
        [times, fps],
    )
    assert [tuple(one) for one in found] == expected


PROBABILITIES = st.floats(0, 1, width=32)
DETECTORS = st.fixed_dictionaries(
    {
        "on": st.sampled_from([0.4, 0.6, 0.9]),
        "off": st.sampled_from([0.1, 0.3]),
        "shortest": st.sampled_from([0.0, 0.4, 1.0]),
        "refractory": st.sampled_from([0.0, 0.6]),
        "warm_up": st.sampled_from([0.0, 0.4]),
    }
)


@settings(max_examples=25)
@given(st.lists(st.tuples(*[PROBABILITIES] * 3), min_size=1, max_size=40), DETECTORS, st.booleans())
def test_the_events(library: Visit, rows: list[tuple[float, ...]], how: dict[str, float], own: bool) -> None:
    by_label = {"b": Thresholds(on=0.8, shortest=0.2)} if own else {}
    detector = EventDetector(ignore=frozenset({"other"}), by_label=by_label, **how)
    info = _labeled()
    expected: list[tuple[list[Any], list[Any]]] = []
    for frame, row in enumerate(rows):
        ended = detector.push(Prediction(frame / 5, frame + 1, np.asarray(row, np.float32), info))
        expected.append((_plain(detector.begun), _plain(ended)))
    ended = detector.finish()
    expected.append((_plain(detector.begun), _plain(ended)))
    found = library.page.evaluate(
        """([labels, rows, how, byLabel]) => {
            const given = { ...how, warmUp: how.warm_up, ignore: new Set(["other"]), byLabel: new Map(byLabel) };
            const detector = new movinet.EventDetector(labels, given);
            const plain = (events) => events.map((one) => [one.label, one.start, one.end, one.confidence]);
            const told = [...rows.map((row, i) => detector.push(row, i / 5)), detector.finish()];
            return told.map(({ begun, ended }) => [plain(begun), plain(ended)]);
        }""",
        [LABELS, rows, how, [["b", {"on": 0.8, "off": None, "shortest": 0.2}]] if own else []],
    )
    assert [tuple([tuple(event) for event in kind] for kind in told) for told in found] == expected


def _labeled() -> WeightsInfo:
    from tiny import tiny_spec

    from movinet.weights.info import fresh_info

    return fresh_info(tiny_spec(True).with_options(num_classes=len(LABELS))).with_labels(LABELS)


def _plain(events: list[Any]) -> list[tuple[Any, ...]]:
    return [(event.label, event.start, event.end, event.confidence) for event in events]


RUN = """async ([folder, frames, size]) => {
    const recognizer = await movinet.Recognizer.load(folder);
    const bytes = Uint8Array.from(atob(frames), (letter) => letter.charCodeAt(0));
    const answers = [];
    for (let at = 0; at < bytes.length; at += size) {
        const answer = await recognizer.pushPixels(new Uint8ClampedArray(bytes.slice(at, at + size)));
        answers.push([Array.from(answer.logits), answer.frames]);
    }
    recognizer.close();
    return answers;
}"""


def logits_there(library: Visit, folder: str, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any]:
    """What the browser answers to pixels (T, h, w, 3) of the network's size: (T, num_classes)."""
    from base64 import b64encode

    alpha = np.full((*pixels.shape[:3], 1), 255, np.uint8)
    rgba = np.ascontiguousarray(np.concatenate([pixels, alpha], -1))
    answers = library.page.evaluate(RUN, [folder, b64encode(rgba.tobytes()).decode(), rgba[0].size])
    assert [count for _, count in answers] == [*range(1, len(rgba) + 1)]
    return np.asarray([logits for logits, _ in answers], np.float32)


def compare(library: Visit, folder: Path, url: str, frames: int) -> float:
    """The largest difference from LiteRT on this machine, as a share of the largest logit."""
    from movinet.deploy.read_manifest import read_manifest
    from movinet.reading import parse_json

    manifest = parse_json((folder / "movinet_manifest.json").read_bytes())
    transform = read_manifest(folder).info.transform
    clip = example_clips(transform, 1, frames)
    pixels = np.round((clip[0].transpose(1, 2, 3, 0) - transform.scale[0]) / np.ptp(transform.scale) * 255)
    levels = pixels.astype(np.uint8)
    exact = scale_levels(levels, transform.scale).transpose(3, 0, 1, 2)[None]
    steps = [exact[:, :, t : t + 1] for t in range(frames)]
    expected = follow(manifest, run_litert(folder / manifest["model"]), steps)[:, 0]
    found = logits_there(library, url, levels)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_the_logits(library: Visit, page_folder: Path, address: str) -> None:
    assert compare(library, page_folder, address, 12) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision", "within"), [("a0", "float32", 1e-5), ("a0", "int8", 3e-2), ("a3", "float32", 1e-5)]
)
def test_the_logits_of_larger_networks(
    library: Visit, name: str, precision: Any, within: float, tmp_path: Path
) -> None:
    """A3 counts its frames in whole numbers, beside the rest of its state."""
    from movinet.arch.serialize import find_spec

    folder = tmp_path / "network"
    export(Weights.untrained(find_spec(f"movinet_{name}_stream")), "browser", folder, precision=precision)
    with strictly_hosted(folder) as url:
        other = visit(library.page.context, f"{url}licenses.txt")
        other.page.evaluate("async (url) => { window.movinet = await import(url); }", f"{url}movinet.js")
        assert compare(other, folder, url, 12) < within
