"""Engines for tests: a network small enough for properties, and one that can be held up or made to fail."""

import threading
from functools import cache

import numpy as np
import torch
from tiny import tiny_spec

from movinet.nn.movinet import MoViNet
from movinet.nn.torch_engine import TorchEngine, TorchState
from movinet.runtime.engine import Frames, Logits
from movinet.weights.weights import Weights


@cache
def tiny_model() -> MoViNet:
    """With parameters that make its answers differ."""
    generator = torch.Generator().manual_seed(1)
    model = MoViNet(tiny_spec()).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
    return model


@cache
def tiny_engine(streams: int) -> TorchEngine:
    return TorchEngine(Weights.of(tiny_model()), streams=streams)


class TestEngine(TorchEngine):
    """Runs only while `gate` is set, and fails with what `failures` holds."""

    __test__ = False

    def __init__(self, streams: int = 1) -> None:
        super().__init__(Weights.of(tiny_model()), streams=streams)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)  # released by every step as it begins
        self.failures: list[Exception] = []
        self.predicted: list[bool] = []

    def step(self, frames: Frames, state: TorchState, predict: bool = True) -> Logits | None:
        self.entered.release()
        assert self.gate.wait(30)
        if self.failures:
            state.tensors = []  # nobody shall use them any more
            raise self.failures.pop()
        self.predicted.append(predict)
        return super().step(frames, state, predict)


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))
