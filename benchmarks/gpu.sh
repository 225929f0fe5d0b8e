#!/bin/sh
# Training and streaming throughput on a GPU, against what its memory allows: A0, A2 and A5, in under ten minutes.
#   benchmarks/gpu.sh                 # wherever there is a GPU; PYTHON=… names another interpreter
#   benchmarks/gpu.sh --device cpu --quick   # whether it runs
set -eu
cd "$(dirname "$0")/.."
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
fi
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec timeout 590 "${PYTHON:-python}" benchmarks/gpu.py "$@"
