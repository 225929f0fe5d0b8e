"""A loop hears that it should stop and ends by itself; impatience ends it at once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from training_sets import Noise

from movinet.data.batches import EpochOrder, load_batches
from movinet.data.dataset import Example, SampleKey
from movinet.train.signals import graceful_stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_is_told_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with graceful_stop() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.signal == number
        os.kill(os.getpid(), signal.SIGTERM)  # repeated by an impatient scheduler: still no reason to lose anything
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_interrupt_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before, now = signal.getsignal(signal.SIGINT), iter([100.0, 100.2, 102.0])
    monkeypatch.setattr("movinet.train.signals.time.monotonic", lambda: next(now))
    interrupts = 0

    def loop() -> None:
        nonlocal interrupts
        with graceful_stop():
            while interrupts < 5:
                interrupts += 1
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert interrupts == 3  # the second is the launcher's copy of the first
    assert signal.getsignal(signal.SIGINT) == before


def test_elsewhere_than_in_the_main_thread_nothing_changes() -> None:
    def inside() -> object:
        with graceful_stop() as stop:
            assert not stop.requested
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == signal.getsignal(signal.SIGTERM)


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> int:
        return index


def loop() -> None:
    """In a process of its own: Ctrl-C of a terminal reaches it and its workers."""
    torch.set_num_threads(1)
    seen = []
    with graceful_stop() as stop:
        for number in DataLoader(Numbers(), batch_size=None, num_workers=1, prefetch_factor=1):
            seen.append(int(number))
            if number == 1:
                os.killpg(0, signal.SIGINT)
    print(seen, stop.signal)


def alone(what: str) -> "subprocess.CompletedProcess[str]":
    """A function of this file in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"import test_signals; test_signals.{what}()"]
    return subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )


def test_workers_live_on() -> None:
    ran = alone("loop")
    assert (ran.stdout, ran.returncode) == ("[0, 1, 2, 3, 4, 5] 2\n", 0)
    assert ran.stderr == "\nstopping as soon as this update is done; Ctrl-C again stops at once\n"  # not by workers


class Faulty(Noise):
    """A mistake of ours in a worker, of the kind that torch's own words hide."""

    def __getitem__(self, pick: SampleKey) -> Example:
        b"\xcf".decode()
        return super().__getitem__(pick)


def fail() -> None:
    """In a process of its own: nobody answers for what goes wrong."""
    torch.set_num_threads(1)
    with graceful_stop():
        kept = load_batches(Noise(12), EpochOrder(12), 2, workers=2)
        alive = iter(kept)
        next(alive)
        list(load_batches(Faulty(12), EpochOrder(12), 2, workers=2))


def test_what_goes_wrong_in_a_worker_ends_the_process() -> None:
    ran = alone("fail")
    assert ran.returncode == 1
    assert "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xcf" in ran.stderr
    assert "WorkerLost" not in ran.stderr


def test_a_worker_that_has_hardly_begun_can_be_ended() -> None:
    with graceful_stop() as stop:
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert not stop.requested
