"""What weights carry besides numbers, so that nobody can use them wrongly by accident."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from movinet.arch.spec import Spec, spec_from_dict
from movinet.errors import WeightsError, brief, printable
from movinet.reading import encodable
from movinet.video.transform import Transform
from movinet.weights.operating_point import OperatingPoint
from movinet.words import counted

# Short side before the center crop, by crop (the official yaml configurations); other sizes keep about the same margin.
_RESIZE_SHORT = {160: 176, 172: 192, 224: 256, 256: 288, 290: 320, 320: 368}
_UNFIT = re.compile(r"[^\w-]+")  # in a tag


@dataclass(frozen=True, repr=False)
class WeightsInfo:
    """A weights file's description of itself."""

    name: str  # architecture.tag, e.g. movinet_a0_stream.k600
    spec: Spec
    transform: Transform
    labels: tuple[str, ...] | None = None  # one a class, in the order of the logits
    license: str = "unknown"
    source: str = "unknown"  # where the numbers came from
    accuracy: Mapping[str, float] = field(default_factory=dict)  # reported, in percent, by what was measured
    notes: str = ""
    multi_label: bool = False  # a clip may show any number of classes: each has a probability of its own
    agreement: Mapping[str, float] = field(
        default_factory=dict
    )  # percent of frames labeled as in float32, by precision
    training: Mapping[str, Any] = field(default_factory=dict)  # how it was trained here: recipe, data, figures
    background: str | None = None  # the label of what is worth no event, such as `other`
    operating_point: OperatingPoint | None = None  # thresholds of events, and what they give

    def __post_init__(self) -> None:
        if self.labels is not None and len(self.labels) != self.spec.num_classes:
            raise WeightsError(
                f"{self.name}: {counted(len(self.labels), 'label')} for "
                f"{counted(self.spec.num_classes, 'class', 'classes')}; give a file with one label a line, in the "
                "order of the classes"
            )
        if self.background is not None and self.background not in (self.labels or (self.background,)):
            raise WeightsError(f"{self.name}: the background {brief(self.background)} is none of its labels")

    def __repr__(self) -> str:
        height, width = self.transform.size
        classes = counted(self.spec.num_classes, "class", "classes") + ("" if self.labels else " without labels")
        return (
            f"WeightsInfo({self.name}: {classes}, {height}×{width} at {self.transform.fps:g} frames/s, {self.license})"
        )

    def tagged(self, tag: str) -> "WeightsInfo":
        """A copy called by its network and a tag, where it has no name of its own.

        Args:
            tag: any words, such as a folder's name; what is neither letter nor digit becomes `_`.
        """
        if self.name != self.spec.name or not (tag := _UNFIT.sub("_", tag).strip("_")):
            return self
        return replace(self, name=f"{self.spec.name}.{tag}")

    def with_labels(self, labels: tuple[str, ...]) -> "WeightsInfo":
        """A copy with other labels, checked against the number of classes. What is known of single labels stays where
        they are the same."""
        if labels == self.labels:
            return self
        background = self.background if self.background in labels else None
        return replace(self, labels=labels, background=background, operating_point=None)

    def with_spec(self, spec: Spec) -> "WeightsInfo":
        """A copy for a network that differs in what its parameters do not tell. Frames are prepared for its size and
        rate where these are others than before."""
        known, usual = self.transform, default_transform(spec)
        if spec.size != self.spec.size:
            known = replace(known, size=usual.size, resize_short=usual.resize_short)
        if spec.fps != self.spec.fps:
            known = replace(known, fps=usual.fps)
        return replace(self, spec=spec, transform=known)

    def for_new_classifier(self, num_classes: int) -> "WeightsInfo":
        """What is still known once the network has a new, untrained classifier: not labels, figures and history."""
        known = self.name != self.spec.name
        return replace(
            self,
            name=self.spec.name,
            spec=self.spec.with_options(num_classes=num_classes),
            labels=None,
            source=f"trained further from {self.name} ({self.source})" if known else self.source,
            accuracy={},
            notes="",
            multi_label=False,
            agreement={},
            training={},
            background=None,
            operating_point=None,
        )

    def label(self, index: int) -> str:
        """The label of a class, or `class N` where labels are unknown."""
        return self.labels[index] if self.labels else f"class {index}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "name": self.name,
            "spec": self.spec.to_dict(),
            "transform": self.transform.to_dict(),
            "labels": list(self.labels) if self.labels is not None else None,
            "license": self.license,
            "source": self.source,
            "accuracy": dict(self.accuracy),
            "notes": self.notes,
            "multi_label": self.multi_label,
            "agreement": dict(self.agreement),
            "training": dict(self.training),
            "background": self.background,
            "operating_point": None if self.operating_point is None else self.operating_point.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "WeightsInfo":
        """The inverse of `to_dict`, with control characters in names and labels written as escapes.

        Raises:
            WeightsError: a field is missing or malformed.
        """
        if not isinstance(data, Mapping):
            raise WeightsError(f"the description of the weights is malformed: want entries, not {brief(data)}")
        try:
            labels, background, point = data["labels"], data.get("background"), data.get("operating_point")
            return cls(
                name=_text(data["name"], "name"),
                spec=spec_from_dict(data["spec"]),
                transform=Transform.from_dict(data["transform"]),
                labels=None if labels is None else _labels(labels),
                license=_text(data["license"], "license"),
                source=_text(data["source"], "source"),
                accuracy={_text(what, "accuracy"): _number(value) for what, value in data["accuracy"].items()},
                notes=_text(data["notes"], "notes"),
                multi_label=bool(data.get("multi_label", False)),
                agreement={_text(k, "agreement"): _number(v) for k, v in data.get("agreement", {}).items()},
                training=dict(data.get("training", {})),
                background=None if background is None else _text(background, "background"),
                operating_point=None if point is None else OperatingPoint.from_dict(point),
            )
        except KeyError as error:
            raise WeightsError(f"the description of the weights lacks {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"the description of the weights is malformed: {error}") from error


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not encodable(value):
        raise ValueError(f"{what} is {brief(value)}; want text")
    return printable(value, lines=what == "notes")


def _labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"labels are {brief(value)}; want a list")
    return tuple(_text(label, "a label") for label in value)


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"an accuracy is {brief(value)}; want a number")
    return value


def fresh_info(spec: Spec) -> WeightsInfo:
    """Of a network with fresh weights: the official preprocessing, and nothing else."""
    return WeightsInfo(spec.name, spec, default_transform(spec))


def default_transform(spec: Spec) -> Transform:
    """The official evaluation's preprocessing for a network of this size and rate."""
    short = min(spec.size)
    return Transform(size=spec.size, resize_short=_RESIZE_SHORT.get(short, round(short * 1.125)), fps=spec.fps)
