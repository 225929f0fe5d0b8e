"""The benchmarks run, and what they promise holds. Minutes each: `make test-slow`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "cameras.py --only faults --faults frozen,start --ours",
        "import_time.py --rounds 5",
        "stream_memory.py --source movinet_t0_stream.gestures",
        "streaming_step.py --models a0 --threads 1",
        "gestures.py --clips 2",
        "loading.py --rounds 1 --seconds 1",
        "pool.py --models t0 --batches 1,2 --streams 1,2 --seconds 2 --engine torch",
        "pool_soak.py --minutes 0.3 --engine torch",
        "scaling.py --rounds 1",
        "recurrent_memory.py --size 64 --frames 8 64",
        "memory_by_frames.py --models movinet_a0 --frames 8 16",
        "ablations.py --out @ --table",
        "temporal_ensembles.py --out @ --quick --seeds 0",
        "search_methods.py search_gestures --out @ --quick --seeds 0",
        "gpu.py --device cpu --quick",
    ],
)
def test_benchmark(command: str, tmp_path: Path) -> None:
    script, *arguments = command.replace("@", str(tmp_path / "out")).split()
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


STUDY = """
recipe:
  network: movinet_t0_stream
  data: {kind: gestures, clips: 4, frames: [4]}
  epochs: 1
  batch_size: 2
  optimizer: {kind: adamw, lr: 1e-3}
seeds: [0]
orders: [in order]
variants:
  mine: {}
  wider: {options: {hidden: 64}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("", "", 0, "beside mine, points"),
        ("hidden", "hiden", 2, "variant 'wider': movinet_t0_stream: a network has no option 'hiden'"),
        ("seeds", "reference: stream\nseeds", 2, "there is no variant 'stream'; there are mine, wider"),
    ],
)
def test_a_study_of_ones_own(old: str, new: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace(old, new))
    line = ["--recipe", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out"), "--table"]
    script = ROOT / "benchmarks" / "ablations.py"
    done = subprocess.run([sys.executable, script, *line], capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
