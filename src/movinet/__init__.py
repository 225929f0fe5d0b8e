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

from movinet.arch.zoo import network_names as list_models
from movinet.errors import MovinetError

if TYPE_CHECKING:
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
    "load_weights",
]


# Loaded when first used: torch alone takes a second.
_HOMES = {
    "Ensemble": "movinet.nn.ensemble",
    "MoViNet": "movinet.nn.movinet",
    "Prediction": "movinet.prediction",
    "Recognizer": "movinet.recognizer",
    "StreamPool": "movinet.runtime.pool",
    "Weights": "movinet.weights.weights",
    "load_weights": "movinet.weights.load",
}


def create_model(name: str, **options: Any) -> "MoViNet | Ensemble":
    """A network of the zoo with fresh weights.

    Args:
        name: one of `list_models()`, or the path of a specification in YAML.
        options: fields of the specification to change, such as `num_classes=11` or `decay=0.98`.

    Raises:
        SpecError: there is no such network, or the options contradict it.
        MissingExtra: PyTorch is not installed.
    """
    from movinet.arch.serialize import find_spec
    from movinet.nn.ensemble import build

    spec = find_spec(name)
    return build(spec.with_options(**options) if options else spec)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'movinet' has no attribute {name!r}")
