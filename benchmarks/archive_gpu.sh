#!/bin/sh
# Scans on a machine with a GPU, beside its processors' cores: minutes. Not run yet: no machine with a GPU was at hand.
#
#     sh benchmarks/archive_gpu.sh [FOLDER]
#
# Prints hours of video an hour for 340×256 and 720p by A0 and A2 with random weights: a process a core, and one process
# for the GPU whose lanes decode on the cores and share its batches; and how often both give a file the same label.
set -eu
folder=${1:-/tmp/movinet-gpu}
python=${PYTHON:-python}
mkdir -p "$folder"
"$python" - "$folder" <<'PYTHON'
import os, sys
from pathlib import Path

sys.path.insert(0, "benchmarks")
from archive_videos import SIZES, footage

from movinet.arch.zoo import network_spec
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

folder = Path(sys.argv[1])
for name in ("a0", "a2"):
    weights = Weights.untrained(network_spec(f"movinet_{name}_stream"))
    save_weights(folder / f"{name}.safetensors", weights.arrays, weights.info)
for name in ("340x256", "720p"):
    video = footage(folder / f"{name}.mp4", SIZES[name], [], 60.0)
    (folder / name).mkdir(exist_ok=True)
    for number in range(32):
        copy = folder / name / f"{number}.mp4"
        if not copy.exists():
            os.link(video, copy)
PYTHON
for network in a0 a2; do
    for video in 340x256 720p; do
        for device in cpu cuda; do
            out="$folder/$network-$video-$device"
            rm -rf "$out"
            echo "$network $video $device: $("$python" -m movinet scan "$folder/$video" --out "$out" --model "$folder/$network.safetensors" --piece 0 --device $device 2>/dev/null)"
        done
        "$python" - "$folder/$network-$video" <<'PYTHON'
import json, sys
from pathlib import Path


def labels(device):
    parts = sorted(Path(f"{sys.argv[1]}-{device}", "jsonl").iterdir())
    rows = [json.loads(line) for part in parts for line in part.open("rb")]
    return {row["path"]: row["last"][0]["label"] for row in rows}


cpu, cuda = labels("cpu"), labels("cuda")
print(f"the same label for {sum(cpu[path] == cuda[path] for path in cpu)} of {len(cpu)} files")
PYTHON
    done
done
