"""The quickest mode this processor has, at the price of a few digits."""

import platform
from functools import cache
from pathlib import Path
from typing import Literal

from movinet.runtime.engine import Precision

# Engine, precision, what the processor must have for it, by any of its names, and from how many streams a step on it is
# worth it; the quickest first, as `benchmarks/engines.py` measured them. int8, of the layers with many weights, is
# quick on any processor.
_MODES: tuple[tuple[Literal["litert", "openvino"], Precision, frozenset[str], int], ...] = (
    ("openvino", "bfloat16", frozenset({"amx_bf16", "avx512_bf16", "bf16"}), 4),
    ("litert", "float16", frozenset({"avx512_fp16", "asimdhp"}), 1),
    ("litert", "int8", frozenset(), 1),
)


def fast_modes(
    streams: int = 1, abilities: frozenset[str] | None = None
) -> list[tuple[Literal["litert", "openvino"], Precision]]:
    """Engines and precisions worth trying here, the quickest first.

    Args:
        streams: rows of a batch.
        abilities: of the processor, by the names Linux has for them; this one's by default.
    """
    has = processor_abilities() if abilities is None else abilities
    return [
        (kind, precision) for kind, precision, wants, least in _MODES if streams >= least and (not wants or wants & has)
    ]


@cache
def processor_abilities() -> frozenset[str]:
    """What the processor can do, by the names Linux has for it; nothing where the system does not tell."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return frozenset({"asimdhp"})  # every Apple processor for Macs
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = [line.partition(":") for line in text.splitlines()]
    return frozenset(
        word for name, _, words in lines if name.strip() in ("flags", "Features") for word in words.split()
    )
