"""YAML and JSON that anybody may have written: what is endless, too deep, ambiguous or no number is refused,
so that those who use it need not think of that."""

import json
import re
from math import isfinite
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief

LARGEST = 1 << 17
"""Characters of a YAML text; the largest of ours has some thousands, and reading takes up to 40 µs each."""

_DEEPEST = 64  # levels of lists and objects in each other
_WHOLE = 1 << 64
# Halves of a character, which no text can have. Those from \udc80 stand for the bytes of file names that are not UTF-8.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def read_yaml(path: str | Path, what: str) -> Any:
    """The value in a YAML file; see `parse_yaml`.

    Args:
        path: of the file.
        what: it is, for messages, such as `recipe`.

    Raises:
        MovinetError: it cannot be read, is no text or not such YAML.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise MovinetError(f"{path}: cannot read the {what}: {error.strerror or error}") from error
    except ValueError as error:
        raise MovinetError(f"{path}: cannot read the {what}: not a text") from error
    try:
        return parse_yaml(text)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error


def parse_yaml(text: str) -> Any:
    """The value in YAML text, of plain types and dates; numbers are finite and whole ones fit into 64 bits.

    Raises:
        MovinetError: it is not YAML, too long or too deep, says a key twice, or has a number or character that is none.
    """
    import yaml

    from movinet.yaml_loader import Loader

    if len(text) > LARGEST:
        raise MovinetError(f"longer than {LARGEST:,} characters, which is too much YAML for anything here")
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise MovinetError(f"not YAML: {error}") from error
    except Exception as error:  # see `Loader`
        raise MovinetError(f"not YAML: a value is not what it says it is ({error})") from error
    _refuse(value, finite=True)
    return value


def parse_json(text: str | bytes, finite: bool = True) -> Any:
    """The value in JSON text; numbers are finite, if so wished, and whole ones fit into 64 bits.

    Raises:
        MovinetError: it is not JSON, too deep, says a key twice, or has a number or character that is none.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except MovinetError:
        raise
    except RecursionError:
        raise MovinetError(f"not JSON that is read here: nested deeper than {_DEEPEST} levels") from None
    except ValueError as error:
        raise MovinetError(f"not JSON: {error}") from error
    _refuse(value, finite)
    return value


def encodable(text: str) -> bool:
    """Whether it can be written: Python's strings may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MovinetError(f"not JSON that is read here: {brief(twice)} is said twice")
    return value


def _refuse(value: Any, finite: bool) -> None:
    """What no reader expects, level by level: a value may be too deep for recursion."""
    level = [value]
    for _ in range(_DEEPEST):
        inside: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if not item.isascii() and _HALF.search(item):
                    raise MovinetError(f"{brief(item)} has half a character in it")
            elif kind is int:
                if not -_WHOLE < item < _WHOLE:
                    raise MovinetError("a whole number has more than 64 bits")
            elif kind is float:
                if finite and not isfinite(item):
                    raise MovinetError(f"{item} is not a number that can be used")
            elif kind is dict:
                inside += item.keys()
                inside += item.values()
            elif kind in (list, set, tuple):
                inside += item
        if not inside:
            return
        level = inside
    raise MovinetError(f"nested deeper than {_DEEPEST} levels")
