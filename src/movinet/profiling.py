"""What a network costs: counted from its specification, and measured on this machine."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import Spec
from movinet.cores import limit_torch, usable_cores
from movinet.costs import delay, macs_per_clip, macs_per_frame, parameters, receptive_field, state_bytes
from movinet.errors import MovinetError
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.engine import Mode
from movinet.runtime.factory import EngineKind, create_engine
from movinet.weights.weights import Weights

_CLIPS = 3  # timed


@dataclass(frozen=True)
class Profile:
    """Counted figures, and measured ones (on this machine)."""

    name: str
    size: tuple[int, int]
    frames: int
    fps: float
    parameters: int
    macs_per_frame: float
    macs_per_clip: int
    state_bytes: int
    receptive_field: int  # frames
    delay: int  # frames
    threads: int
    engine: str  # what ran the steps, or the clip of a base network
    precision: str  # what it computed in
    step_ms: float | None  # median of one frame, batch 1; None for base networks
    clip_ms: float | None  # median of the whole clip; None where the engine takes one frame at a time
    # Of the whole process, PyTorch included, once it has streamed, or run clips where it cannot; None where the system
    # does not tell.
    peak_memory_mb: float | None


def profile(
    spec: Spec,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    repeats: int = 20,
    engine: EngineKind = "auto",
    precision: Mode = "float32",
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Profile:
    """Count and measure a network with fresh weights.

    Args:
        spec: what to build.
        size: (height, width) of the frames; the specification's own by default.
        frames: of the clip; the specification's own by default.
        repeats: steps timed, after a warm-up; a clip is timed three times.
        engine: what runs the steps, or the clips of a base network.
        precision: what it computes in; "fast" takes the quickest the processor has.
        threads: of the processor; all by default.
        progress: called with repeats done and in all.
    """
    size, frames = size or spec.size, frames or spec.frames
    weights = Weights.untrained(spec).with_position_limits()
    if isinstance(spec, BaselineSpec) and engine not in ("auto", "torch"):
        raise MovinetError(f"{spec.name} is a network to compare with, which PyTorch alone runs, not {engine!r}")
    ran: str = "torch" if engine == "auto" else engine
    computed: str = "float32" if precision == "fast" else precision
    random = np.random.default_rng(0)
    if spec.causal:
        runner = create_engine(weights, engine, size=size, precision=precision, threads=threads, cache=False)
        image, state, ran = random.random((1, *size, 3), np.float32), runner.init_state(), runner.kind
        computed = runner.precision
    has_clip = not spec.causal or ran in ("torch", "compile")
    done, total = 0, (repeats if spec.causal else 0) + (_CLIPS if has_clip else 0)

    def timed(run: Callable[[], object]) -> float:
        nonlocal done
        begin = time.perf_counter()
        run()
        done += 1
        if progress:
            progress(done, total)
        return 1e3 * (time.perf_counter() - begin)

    step_ms = clip_ms = memory = None
    if spec.causal:
        if threads is not None:
            limit_torch(threads)
        for _ in range(3):
            runner.step(image, state)
        step_ms = statistics.median(timed(lambda: runner.step(image, state)) for _ in range(repeats))
        memory = peak_memory()  # before a whole clip takes much more
    if has_clip:
        run_clip = create_clip_engine(weights, "torch" if spec.causal else engine, precision=precision, threads=threads)
        if threads is not None:
            limit_torch(threads)
        clip = random.random((1, 3, frames, *size), np.float32)
        if engine in ("openvino", "onnx"):
            run_clip(clip)  # the first of its shape is converted
        clip_ms = statistics.median(timed(lambda: run_clip(clip)) for _ in range(_CLIPS))
    return Profile(
        name=spec.name,
        size=size,
        frames=frames,
        fps=spec.fps,
        parameters=parameters(spec),
        macs_per_frame=macs_per_frame(spec, size),
        macs_per_clip=macs_per_clip(spec, size, frames),
        state_bytes=state_bytes(spec, size),
        receptive_field=receptive_field(spec),
        delay=delay(spec),
        threads=threads or usable_cores(),
        engine=ran,
        precision=computed,
        step_ms=step_ms,
        clip_ms=clip_ms,
        peak_memory_mb=peak_memory() if memory is None else memory,
    )


def peak_memory() -> float | None:
    """MiB that the process has held at most, PyTorch included; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    kilobytes = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobytes / 1024
