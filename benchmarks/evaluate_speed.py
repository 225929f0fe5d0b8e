"""What judging a set costs beside what cannot be spared: decoding its videos and stepping the network.

    python benchmarks/evaluate_speed.py
    python benchmarks/evaluate_speed.py DATA --model movinet_a0_stream.k600 --rounds 5 --json

By default the shared gestures and the bundled network, whose steps are so small that everything else is seen. Measured
in turns, each in a process of its own on one thread: `movinet evaluate --protocol stream`, the whole process with its
start; and the plainest loop, without its start, that decodes each video by `read_frames`, makes the frames as the
network wants them, and then steps the engine by each. Figures are medians of processor time, user and system, of all
threads; compiled bytecode is kept, as by default. Promise: the first takes at most 1.2 times the second. Exits with 1
where it is broken. How busy the machine was is told, since on a busy one processes drive each other out of the caches.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from movinet.cores import usable_cores

MOST = 1.2
SHARED = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[2] / "shared"))

PLAIN = """
import sys, time
import numpy as np
from movinet.labeled.readers import read_set
from movinet.runtime.factory import create_engine
from movinet.runtime.open_network import open_network
from movinet.video.decode import read_frames
from movinet.video.transform import scale_levels
weights = open_network(sys.argv[2])
transform = weights.info.transform
engine = create_engine(weights, size=transform.size, threads=1)
state, images = engine.init_state(), np.zeros((1, *transform.size, 3), np.float32)
videos, count, decoding = read_set(sys.argv[1]).select().videos, 0, 0.0
engine.step(images, state)
begun = time.process_time()
for video in videos:
    at = time.process_time()
    levels = [frame.levels(transform) for frame in read_frames(video.path, transform.fps, video.start, video.end)]
    decoding += time.process_time() - at
    for image in levels:
        scale_levels(image, transform.scale, images[0])
        engine.step(images, state)
    count += len(levels)
print(time.process_time() - begun, decoding, count)
"""
WHOLE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def said(program: str, *arguments: str) -> list[float]:
    """The numbers that a program prints."""
    line = [sys.executable, "-c", program, *arguments]
    with_bytecode = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=with_bytecode)
    return [float(word) for word in done.stdout.split()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=str(SHARED / "data" / "egogestar"))
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    command = [sys.executable, "-m", "movinet", "evaluate", given.data, "--model", given.model, "--protocol", "stream"]
    whole, plain, decoding, frames = list[float](), list[float](), list[float](), 0.0
    for _ in range(given.rounds):
        whole += said(WHOLE, *command, "--json", "--threads", "1")
        seconds, decoded, frames = said(PLAIN, given.data, given.model)
        plain.append(seconds)
        decoding.append(decoded)
    evaluated, both, decoded = (statistics.median(times) for times in (whole, plain, decoding))
    ratio, busy = evaluated / both, os.getloadavg()[0] / usable_cores()
    if given.json:
        figures = {"evaluate_s": evaluated, "plain_s": both, "decode_s": decoded, "ratio": ratio, "busy": busy}
        print(json.dumps({**figures, "frames": int(frames)}))
    else:
        print(f"{frames:.0f} frames of {given.data}, {given.model}")
        print(f"evaluate, whole process   {evaluated:7.2f} s of processor time")
        print(f"decoding and stepping     {both:7.2f} s, of which decoding {decoded:.2f} s")
        print(f"ratio                     {ratio:7.2f}, at most {MOST}; {busy:.1f} programs for every processor")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
