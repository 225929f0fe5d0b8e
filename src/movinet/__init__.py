"""Video recognition as it happens: MoViNets that take a clip or one frame at a time, with the same answer.

import movinet

recognizer = movinet.Recognizer.load("movinet_t0_stream.gestures")
for prediction in recognizer.stream("clip.mp4"):
    print(prediction.time, prediction.top(3))
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 11):  # noqa: UP036  (pip refuses to install it there; a path or a copy comes this far)
    _complaint = f"movinet needs Python 3.11 or later; this is Python {sys.version.split()[0]}, {sys.executable}"
    if sys.argv[:1] == ["-m"]:  # `python -m movinet`
        sys.exit("movinet: " + _complaint)
    raise ImportError(_complaint)

from movinet.errors import MovinetError

if TYPE_CHECKING:
    from movinet.create import create_model, list_models, load_model, push_model, save_model
    from movinet.nn.ensemble import Ensemble
    from movinet.nn.movinet import MoViNet
    from movinet.prediction import Prediction
    from movinet.recognizer import Recognizer
    from movinet.runtime.pool import StreamPool
    from movinet.weights.load import load_weights
    from movinet.weights.weights import Weights

__version__ = "0.1.0"
__all__ = [
    "Ensemble",
    "MoViNet",
    "MovinetError",
    "Prediction",
    "Recognizer",
    "StreamPool",
    "Weights",
    "create_model",
    "list_models",
    "load_model",
    "load_weights",
    "push_model",
    "save_model",
]


# Loaded when first used: NumPy takes a tenth of a second, and torch a whole one.
_HOMES = {
    "Ensemble": "movinet.nn.ensemble",
    "MoViNet": "movinet.nn.movinet",
    "Prediction": "movinet.prediction",
    "Recognizer": "movinet.recognizer",
    "StreamPool": "movinet.runtime.pool",
    "Weights": "movinet.weights.weights",
    "create_model": "movinet.create",
    "list_models": "movinet.create",
    "load_model": "movinet.create",
    "load_weights": "movinet.weights.load",
    "push_model": "movinet.create",
    "save_model": "movinet.create",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'movinet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any", "import_module", "sys"})
