"""Networks in OpenVINO come and go, in any order, and signals still find a stack."""

import subprocess
import sys

import pytest

PROGRAM = """
import gc, os, signal, sys
sys.path.insert(0, "tests")
import numpy as np
from tiny import tiny_spec
from movinet.runtime.factory import create_engine
from movinet.weights.weights import Weights

heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
engines = [create_engine(Weights.untrained(tiny_spec()), "openvino", threads=1) for _ in range(2)]
while engines:
    engines.pop(0)  # the eldest first
    gc.collect()
    junk = [bytearray(os.urandom(4096)) for _ in range(2000)]  # what was freed is used again
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(heard))
"""


def test_signals_are_heard_after_engines_are_gone() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
