"""What judging a set costs beside what cannot be spared: decoding its videos and stepping the network.

    python benchmarks/evaluate_speed.py
    python benchmarks/evaluate_speed.py DATA --model movinet_a0_stream.k600 --rounds 5 --json

By default the shared gestures and the bundled network, whose steps are so small that everything else is seen. Measured
in turns, each in a process of its own on one thread: (1) `movinet evaluate --protocol stream`, whole; (2) the frames of
all videos decoded and made as the network wants them, by `read_frames`, and nothing done with them; (3) as many steps
with answers of the engine alone. Figures are medians of processor time, user and system, of all threads; of (2) and
(3) without starting the process. Compiled bytecode is kept, as by default. Promise: (1) takes at most 1.2 times (2) and
(3) together. Exits with 1 where it is broken.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

MOST = 1.2
SHARED = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[2] / "shared"))

DECODE = """
import sys, time
from movinet.labeled.readers import read_set
from movinet.video.decode import read_frames
from movinet.weights.load import load_weights
transform = load_weights(sys.argv[2]).info.transform
videos, count = read_set(sys.argv[1]).select().videos, 0
begun = time.process_time()
for video in videos:
    for frame in read_frames(video.path, transform.fps, video.start, video.end):
        frame.levels(transform)
        count += 1
print(time.process_time() - begun, count)
"""
STEP = """
import sys, time
import numpy as np
from movinet.runtime.factory import create_engine
from movinet.runtime.open_network import open_network
weights = open_network(sys.argv[1])
size = weights.info.transform.size
engine = create_engine(weights, size=size, threads=1)
image, state = np.random.default_rng(0).random((1, *size, 3), np.float32), engine.init_state()
for _ in range(20):
    engine.step(image, state)
begun = time.process_time()
for _ in range(int(sys.argv[2])):
    engine.step(image, state)
print(time.process_time() - begun)
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
    whole, decoding, stepping, frames = list[float](), list[float](), list[float](), 0
    for _ in range(given.rounds):
        whole += said(WHOLE, *command, "--json", "--threads", "1")
        seconds, count = said(DECODE, given.data, given.model)
        decoding.append(seconds)
        frames = int(count)
        stepping += said(STEP, given.model, str(frames))
    medians = [statistics.median(times) for times in (whole, decoding, stepping)]
    ratio = medians[0] / (medians[1] + medians[2])
    if given.json:
        names = ("evaluate_s", "decode_s", "step_s")
        print(json.dumps({**dict(zip(names, medians, strict=True)), "frames": frames, "ratio": ratio}))
    else:
        print(f"{frames} frames of {given.data}, {given.model}")
        print(f"evaluate, whole process   {medians[0]:7.2f} s of processor time")
        print(f"decoding alone            {medians[1]:7.2f} s")
        print(f"stepping alone            {medians[2]:7.2f} s")
        print(f"ratio                     {ratio:7.2f}, at most {MOST}")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
