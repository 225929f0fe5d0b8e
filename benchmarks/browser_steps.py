"""A network in the exported page beside LiteRT.js by itself: time of a step, memory, the page's own thread, sizes.

    npm ci --prefix web && python benchmarks/browser_steps.py --model a0

Both run in one Chromium (MOVINET_CHROMIUM, or on the path), by turns, so that they meet the same machine. "Bare" is the
package as published: the same file run on the same tensors again and again, outputs freed, nothing read, no state
handed on, in the build that LiteRT.js takes by itself (relaxed SIMD). The page's step is all its worker does with the
pixels of a frame: to floats, into LiteRT's memory, run, logits out, state on. Fails if a step takes more than 1.2 times
the bare one's time, if the page is larger than 3.5 MB packed, if a task on the page's own thread computes for more than
50 ms, or if memory grows.
"""

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from movinet.arch.serialize import find_spec
from movinet.export.browser import page_files
from movinet.export.export import export
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from static_host import host  # type: ignore[import-not-found]

LITERT = Path(__file__).parents[1] / "web" / "node_modules" / "@litertjs"
MOST_TIMES, MOST_BYTES, MOST_GROWTH, MOST_TASK = 1.2, 3.5e6, 30.0, 50.0

BARE = """<!doctype html><script type="importmap">
{"imports": {"@litertjs/core": "./litertjs/core/dist/index.js",
             "@litertjs/wasm-utils": "./litertjs/wasm-utils/dist/index.js"}}
</script>"""
LOAD_BARE = """async () => {
    const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
    await loadLiteRt(new URL("litertjs/core/wasm/", location.href).href);
    const manifest = await (await fetch("movinet_manifest.json")).json();
    const model = await loadAndCompile(new URL(manifest.model, location.href).href, { accelerator: "wasm" });
    const inputs = {};
    for (const { name, shape, dtype, initial } of [{ ...manifest.input, initial: 0.5 }, ...manifest.state]) {
        const kind = dtype === "int32" ? Int32Array : Float32Array;
        inputs[name] = new Tensor(new kind(shape.reduce((a, b) => a * b, 1)).fill(initial), shape);
    }
    window.steps = async (count) => {
        const times = [];
        for (let i = 0; i < count; i++) {
            const start = performance.now();
            const outputs = await model.run(manifest.signature, inputs);
            times.push(performance.now() - start);
            for (const tensor of Object.values(outputs)) tensor.delete();
        }
        return times;
    };
}"""
LOAD_OURS = """async () => {
    const { Recognizer } = await import(new URL("movinet.js", location.href).href);
    const recognizer = await Recognizer.load();
    const [height, width] = recognizer.manifest.transform.size;
    const pixels = new Uint8ClampedArray(4 * height * width).map((_, i) => (i * 7) % 251);
    window.steps = async (count) => {
        const times = [];
        for (let i = 0; i < count; i++) times.push((await recognizer.pushPixels(pixels)).ms);
        return times;
    };
}"""


def exported(model: str, precision: str, folder: Path) -> None:
    """The network's page, with the bare package beside it."""
    short = model == "gestures"
    weights = (
        load_weights("movinet_t0_stream.gestures") if short else Weights.untrained(find_spec(f"movinet_{model}_stream"))
    )
    export(weights, "browser", folder, precision=cast(Any, precision))
    (folder / "bare.html").write_text(BARE)
    if LITERT.is_dir():
        shutil.copytree(LITERT, folder / "litertjs")


def opened(browser: Browser, url: str, load: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(url)
    page.evaluate(load)
    return page


def memory(browser: Browser) -> float:
    """Megabytes that the largest of the pages' processes holds."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    held = []
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text()
            held.append(int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024)
    return max(held)


def step_times(browser: Browser, url: str, rounds: int, calls: int) -> dict[str, list[float]]:
    """Milliseconds of steps, by turns."""
    pages = {"bare": opened(browser, f"{url}bare.html", LOAD_BARE)} if LITERT.is_dir() else {}
    pages["page"] = opened(browser, f"{url}licenses.txt", LOAD_OURS)
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds):
        for name, page in pages.items():
            page.bring_to_front()
            page.evaluate("steps(3)")
            times[name] += page.evaluate(f"steps({calls})")
    for page in pages.values():
        page.close()
    return times


def growth(browser: Browser, url: str, steps: int, parts: int = 5) -> list[float]:
    """Megabytes after each fifth of the steps."""
    page = opened(browser, f"{url}licenses.txt", LOAD_OURS)
    held = []
    for _ in range(parts):
        page.evaluate(f"(async () => {{ await steps({steps // parts}); }})()")
        page.request_gc()
        held.append(memory(browser))
    page.close()
    return held


def longest_tasks(browser: Browser, url: str, seconds: float, most: int = 3) -> list[float]:
    """Milliseconds of the processor that the longest tasks of the page's own thread took, from its start to some
    seconds of a camera. Not by the clock: other programs' turns are no fault of the page's."""
    page = browser.new_page()
    browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
    page.goto(url)
    page.get_by_role("button", name="Use the camera").click(timeout=600_000)
    page.locator(".figures", has_text="of").wait_for()
    page.wait_for_timeout(1000 * seconds)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.close()
    main = {
        (e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    took = [
        e["tdur"] / 1000
        for e in events
        if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) in main and "tdur" in e
    ]
    return sorted(took, reverse=True)[:most]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="a0", help="a0 … a5, with fresh weights, or gestures")
    parser.add_argument("--precision", default="float32", choices=["float32", "int8"])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--calls", type=int, default=40, help="steps a round")
    parser.add_argument("--steps", type=int, default=10_000, help="for memory; 0 leaves it out")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a camera, for the page's thread")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    chromium = os.environ.get("MOVINET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium or Chrome: MOVINET_CHROMIUM names one")
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary) / "page"
        exported(options.model, options.precision, folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        with host(folder) as url:
            times = step_times(browser, url, options.rounds, options.calls)
            tasks = longest_tasks(browser, url, options.seconds)
            held = growth(browser, url, options.steps) if options.steps else None
        browser.close()
    figures: dict[str, Any] = {
        "model": options.model,
        "precision": options.precision,
        "page_mb": round(sum(len(gzip.compress(data)) for data in page_files().values()) / 1e6, 2),
        "longest_tasks_ms": [round(task) for task in tasks],
    }
    for name, of in times.items():
        figures[name] = {f"p{p}_ms": round(float(np.percentile(of, p)), 2) for p in (10, 50, 90)}
    if "bare" in times:
        figures["times_bare"] = round(figures["page"]["p10_ms"] / figures["bare"]["p10_ms"], 2)
        figures["times_bare_p50"] = round(figures["page"]["p50_ms"] / figures["bare"]["p50_ms"], 2)
    if held:
        figures["memory_mb"] = [round(megabytes) for megabytes in held]
    print(json.dumps(figures) if options.json else "\n".join(f"{name:>14}  {value}" for name, value in figures.items()))
    failed = [
        figures.get("times_bare", 0) > MOST_TIMES,
        figures["page_mb"] * 1e6 > MOST_BYTES,
        max(tasks) > MOST_TASK,
        held is not None and held[-1] - held[0] > MOST_GROWTH,
    ]
    sys.exit(1 if any(failed) else 0)


if __name__ == "__main__":
    main()
