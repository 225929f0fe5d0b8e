"""Memory of a stream and of a decoder that run for minutes: resident size at every minute (Linux).

    python benchmarks/stream_memory.py
    python benchmarks/stream_memory.py --source movinet_t0_stream.gestures --minutes 60

Minutes are those of the stream, which runs as fast as it can. Fails if memory grows by over 5 % after the first.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from movinet import Recognizer, create_model, list_models
from movinet.video.decode import read_frames
from movinet.weights.weights import Weights

TOLERANCE = 0.05
CAMERA = (240, 320)
VIDEO, VIDEO_FPS = (72, 96), 25
PAGE_MB = resource.getpagesize() / 1e6


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def changing_frames(size: tuple[int, int], count: int) -> Iterator[NDArray[np.uint8]]:
    """Noise that drifts and changes its brightness: every frame is another."""
    height, width = size
    noise = np.random.default_rng(0).integers(0, 192, (2 * height, 2 * width, 3), dtype=np.uint8)
    for i in range(count):
        y, x = i % height, (3 * i) % width
        yield noise[y : y + height, x : x + width] + np.uint8(i % 64)


def recognizer(source: str) -> Recognizer:
    """Of weights by name or file; a network of the zoo gets fresh ones."""
    if source not in list_models():
        return Recognizer.load(source)
    model = create_model(source)
    return Recognizer(Weights.of(model))


def watch_stream(source: str, minutes: int) -> list[float]:
    """MB after every minute of a camera at the network's rate."""
    watcher = recognizer(source)
    a_minute, sizes = round(60 * watcher.info.transform.fps), []
    for i, rgb in enumerate(changing_frames(CAMERA, minutes * a_minute), start=1):
        watcher.push(rgb, time=i / watcher.info.transform.fps)
        if i % a_minute == 0:
            sizes.append(resident_mb())
    return sizes


def watch_decoder(minutes: int) -> list[float]:
    """MB after every minute of a video file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        with av.open(path, "w") as container:
            stream = container.add_stream("mpeg4", rate=VIDEO_FPS)
            stream.height, stream.width = VIDEO
            for rgb in changing_frames(VIDEO, 60 * minutes * VIDEO_FPS):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
            container.mux(stream.encode())
        return [resident_mb() for i, _ in enumerate(read_frames(path), start=1) if i % (60 * VIDEO_FPS) == 0]


def is_flat(what: str, sizes: list[float]) -> bool:
    growth = max(sizes) / sizes[0] - 1
    print(f"{what}: MB after every minute " + " ".join(f"{size:.1f}" for size in sizes))
    print(f"{what}: at most {100 * growth:+.2f} % after the first minute", flush=True)
    return growth <= TOLERANCE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", action="append", help="network or weights, repeatable (movinet_a0_stream)")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    flat = [
        is_flat(source, watch_stream(source, options.minutes)) for source in options.source or ["movinet_a0_stream"]
    ]
    flat.append(is_flat("read_frames", watch_decoder(options.minutes)))
    if not all(flat):
        sys.exit(f"memory grew by over {100 * TOLERANCE:.0f} %")


if __name__ == "__main__":
    main()
