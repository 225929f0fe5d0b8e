"""The weights known by name, `architecture.tag`: where they are and what is known of them."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TypeGuard

from movinet.arch.zoo import network_names
from movinet.errors import WeightsError
from movinet.words import near_words

DEFAULT_MODEL = "movinet_t0_stream.gestures"
"""What is taken where no network is named: the bundled one."""

HUB = "hf-hub:"
_BUCKET = "https://storage.googleapis.com/tf_model_garden/vision/movinet"
_LABELS = "https://raw.githubusercontent.com/tensorflow/models/f8af2291cced43fc9f1d9b41ddbf772ae7b0d7d2/official/projects/movinet/files/kinetics_600_labels.txt"


@dataclass(frozen=True)
class Entry:
    """One set of weights. Either `bundled`, or at `address`, or made of `members`."""

    name: str
    license: str
    source: str
    address: str | None = None
    sha256: str | None = None  # None: nobody has published it; the first download records what it got
    labels_address: str | None = None
    bundled: str | None = None  # file inside this package
    members: tuple[str, ...] = ()  # of an ensemble
    variant: bool = False  # of a network that differs from the published one: the architecture's name does not mean it
    options: dict[str, str] = field(default_factory=dict)  # what the file does not say of its network
    top1: float | None = None  # reported, percent
    top5: float | None = None
    notes: str = ""

    @property
    def architecture(self) -> str:
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        return self.name.partition(".")[2]

    @property
    def tells_itself(self) -> bool:
        """Whether the file says what network it holds: nothing about it is assumed then."""
        return (self.address or "").endswith(".tflite")

    @property
    def verified(self) -> bool:
        """Whether this very file was ever loaded and tried by those who made this package."""
        if self.members:
            return all(find(name).verified for name in self.members)
        return self.bundled is not None or self.sha256 is not None


# Single clip, top-1 and top-5 on Kinetics-600: the README of official/projects/movinet.
_REPORTED = {
    "a0_base": (72.28, 90.92),
    "a1_base": (76.69, 93.40),
    "a2_base": (78.62, 94.17),
    "a3_base": (81.79, 95.67),
    "a4_base": (83.48, 96.16),
    "a5_base": (84.27, 96.39),
    "a0_stream": (72.05, 90.63),
    "a1_stream": (76.45, 93.25),
    "a2_stream": (78.40, 94.05),
    "a3_stream": (80.09, 94.84),
    "a4_stream": (81.49, 95.66),
    "a5_stream": (82.37, 95.79),
}


def entries() -> list[Entry]:
    """Everything that can be loaded by name."""
    official = [
        Entry(
            name=f"movinet_{network}.k600",
            license="Apache-2.0",
            source="tensorflow/models, official/projects/movinet",
            address=f"{_BUCKET}/movinet_{network}.tar.gz",
            labels_address=_LABELS,
            # The published stream checkpoints were trained with Keras' hard-sigmoid of 2021.
            options={"gate": "hard_sigmoid_keras"} if network.endswith("stream") else {},
            top1=top1,
            top5=top5,
        )
        for network, (top1, top5) in _REPORTED.items()
    ]
    # The README's table of TF Lite binaries: float32. How they answer is not reported.
    lite = [
        Entry(
            name=f"movinet_{network}.k600lite",
            license="Apache-2.0",
            source="tensorflow/models, official/projects/movinet: TF Lite streaming models",
            address=f"{_BUCKET}/movinet_{network}.tflite",
            labels_address=_LABELS,
            options={"norm": "folded"},
            notes="never verified by us: what the file holds is known once it is read",
        )
        for network in _REPORTED
        if network.endswith("stream")
    ]
    ensembles = [
        Entry(
            name=f"movinet_a6_{kind}.k600",
            license="Apache-2.0",
            source="tensorflow/models, official/projects/movinet: the mean of A4's and A5's logits",
            members=(f"movinet_a4_{kind}.k600", f"movinet_a5_{kind}.k600"),
        )
        for kind in ("base", "stream")
    ]
    bundled = [
        Entry(
            name="movinet_t0_stream.gestures",
            license="Apache-2.0",
            source="recipes/gestures.yaml and gesture_streams_last.yaml, on synthetic air gestures alone",
            bundled="movinet_t0_stream.gestures.safetensors",
            variant=True,
        )
    ]
    return bundled + official + lite + ensembles


def is_on_hub(source: str | Path) -> TypeGuard[str]:
    """Whether this names a repository on the Hugging Face Hub, as `hf-hub:owner/name` does."""
    return isinstance(source, str) and source.startswith(HUB)


def lookup(name: str) -> Entry | None:
    """The entry of this name, if there is one; an architecture means the first of the published network."""
    return next((e for e in entries() if name == e.name or (name == e.architecture and not e.variant)), None)


def find(name: str) -> Entry:
    """The entry of this name, as `lookup` finds it.

    Raises:
        WeightsError: nothing has this name.
    """
    entry = lookup(name)
    if entry is None:
        raise WeightsError(f"no weights are called {name!r}{suggestion(name)}")
    return entry


def suggestion(name: str) -> str:
    """The end of a message about a name that nothing has: what may have been meant."""
    known = [entry.name for entry in entries()]
    if name in network_names():
        variants = [entry.name for entry in entries() if entry.architecture == name]
        others = f"; there are those of a variant of it, another network: {', '.join(variants)}" if variants else ""
        return f"; {name} is a network without published weights of its own{others}"
    if tagged := [entry.name for entry in entries() if name == entry.tag]:  # `gestures`
        return f"; did you mean {' or '.join(tagged[:3])}{', …' if len(tagged) > 3 else ''}?"
    near = near_words(name, dict.fromkeys([*(entry.architecture for entry in entries()), *known]), 3)
    return f"; did you mean {' or '.join(near)}?" if near else "; `movinet models` lists the weights known by name"


def bundled_file(entry: Entry) -> Path:
    """The path of weights that are part of the package."""
    assert entry.bundled is not None
    return Path(str(files("movinet.weights"))) / "bundled" / entry.bundled
