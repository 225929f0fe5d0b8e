"""Which of a network's classes the labels of a set are."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from movinet.errors import MovinetError
from movinet.evaluate.judged import Judged
from movinet.words import counted


@dataclass(frozen=True)
class LabelMatch:
    """Which class each label is, and how that is known.

    Args:
        classes: by label; labels that the network does not know are not in it.
        unknown: these.
        names: of the network's classes, for people.
        note: in words, where names differ; empty where they are the same.
    """

    classes: Mapping[str, int]
    unknown: tuple[str, ...]
    names: tuple[str, ...]
    note: str = ""


def match_labels(labels: Sequence[str], judged: Judged, allow_unknown: bool = False) -> LabelMatch:
    """Find the labels of a set among a network's.

    Names are the same, or the same but for case, spaces, hyphens and underscores. Labels that are all numbers are the
    numbers of classes, where the network's names are none.

    Args:
        labels: of the set.
        judged: the network.
        allow_unknown: leave labels that it does not know aside, as long as it knows one.

    Raises:
        MovinetError: it knows none of them, or not all.
    """
    own = judged.labels
    names = own or tuple(f"class {n}" for n in range(judged.num_classes))
    if all(label.isascii() and label.isdecimal() and int(label) < judged.num_classes for label in labels) and not (
        own and set(labels) <= set(own)
    ):
        note = f"the set's labels are numbers, taken for those of classes: 0 is {names[0]}"
        return LabelMatch({label: int(label) for label in labels}, (), names, note)
    if own is None:
        raise MovinetError(
            f"{judged.name} brings no labels, so nobody knows which of its {counted(len(names), 'class', 'classes')} "
            f"is {labels[0]!r}: --labels FILE names them, one a line"
        )
    exact = {_composed(name): n for n, name in enumerate(own)}
    loose: dict[str, list[int]] = {}
    for n, name in enumerate(own):
        loose.setdefault(_folded(name), []).append(n)
    found, differing = {}, []
    for label in labels:
        alike = loose.get(_folded(label), [])
        if _composed(label) in exact:
            found[label] = exact[_composed(label)]
        elif len(alike) == 1:
            found[label] = alike[0]
            differing.append(f"{label!r} is {own[alike[0]]!r}")
    if len(set(found.values())) < len(found):  # two labels of the set that are one to the network
        raise MovinetError(f"several labels of the set are one class of {judged.name}: {_some(differing)}; rename them")
    unknown = tuple(label for label in labels if label not in found)
    if unknown and not (allow_unknown and found):
        near = get_close_matches(unknown[0], own, 1)
        knows = f"did you mean {near[0]!r}?" if near else f"it knows {_some(own)}"
        raise MovinetError(
            f"{len(unknown)} of {counted(len(labels), 'label')} of the set are no classes of {judged.name}: "
            f"{_some([repr(label) for label in unknown])}; {knows}. Rename them, give --labels FILE, or leave their "
            "videos out (--skip-unknown)"
        )
    note = f"labels taken for the network's though their spelling differs: {_some(differing)}" if differing else ""
    return LabelMatch(found, unknown, names, note)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return " ".join("".join(" " if c in "_-" else c for c in _composed(name).casefold()).split())


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
