"""Frozen dataclasses to and from what YAML and JSON know: mappings, lists, numbers and text.

What equals its default may be left out. A field that may hold one of several dataclasses says which as `kind`, its
class's name in small letters, with underscores or without: `gesture_streams` for `GestureStreams`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from movinet.errors import MovinetError, brief

T = TypeVar("T")

_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)
_FRACTION = re.compile(r"\d{1,9}(/\d{1,9}|\.\d{1,9})?")  # `1e-999999999` would be one of a thousand million digits


def to_plain(value: Any, *, whole: bool = False) -> Any:
    """The value in plain types.

    Args:
        value: A dataclass, or what is in its fields.
        whole: With what is as by default: for what others read too, or what is to stay though defaults may change.
    """
    if not is_dataclass(value):
        if isinstance(value, tuple | list):
            return [to_plain(item, whole=whole) for item in value]
        if isinstance(value, Mapping):
            return {key: to_plain(item, whole=whole) for key, item in value.items()}
        return str(value) if isinstance(value, Fraction) else value
    plain = {}
    hints = _hints(type(value))
    for field in fields(value):
        item = getattr(value, field.name)
        if item == _default(field) and not whole:
            continue
        plain[field.name] = to_plain(item, whole=whole)
        if is_dataclass(item) and len(_classes(hints[field.name])) > 1:
            plain[field.name] = {"kind": type(item).__name__.lower(), **plain[field.name]}
    return plain


def from_plain(cls: type[T], data: Any, where: str) -> T:
    """The dataclass that `to_plain` was given.

    Args:
        cls: The dataclass.
        data: In plain types.
        where: What it is, for messages.

    Raises:
        MovinetError: An entry is missing, unknown, of another type or refused by the dataclass.
    """
    if not isinstance(data, dict):
        raise MovinetError(f"{where}: want a mapping of entries, got {brief(data)}")
    hints = _hints(cls)
    if unknown := [str(key) for key in data if key not in hints]:
        near = get_close_matches(unknown[0], hints, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise MovinetError(f"{where}: there is no entry {brief(unknown[0])}{meant}; there are {', '.join(hints)}")
    given = {key: _read(hints[key], value, f"{where}.{key}") for key, value in data.items()}
    if missing := [f.name for f in fields(cls) if _default(f) is MISSING and f.name not in given]:  # type: ignore[arg-type]
        raise MovinetError(f"{where}: {missing[0]!r} is missing")
    try:
        return cls(**given)
    except MovinetError:
        raise
    except ValueError as error:
        raise MovinetError(f"{where}: {error}") from error


def _read(hint: Any, value: Any, where: str) -> Any:
    choices = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    if value is None and NoneType in choices:
        return None
    if classes := _classes(hint):
        return _read_one_of(classes, value, where)
    complaints = []
    for choice in (choice for choice in choices if choice is not NoneType):
        try:
            return _read_value(choice, value, where)
        except MovinetError as error:
            complaints.append(str(error))
    raise MovinetError("; or ".join(complaints))


def _read_one_of(classes: list[Any], value: Any, where: str) -> Any:
    if len(classes) == 1:
        return from_plain(classes[0], value, where)
    kinds = {cls.__name__.lower(): cls for cls in classes}
    kind = value.get("kind") if isinstance(value, dict) else None
    kind = kind.replace("_", "") if isinstance(kind, str) else None
    if kind not in kinds:
        names = ", ".join(re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", cls.__name__).lower() for cls in classes)
        raise MovinetError(f"{where}: want entries and among them `kind`, one of {names}; got {brief(value)}")
    return from_plain(kinds[kind], {key: item for key, item in value.items() if key != "kind"}, where)


def _read_value(hint: Any, value: Any, where: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        if value not in parts:
            raise MovinetError(f"{where} is {brief(value)}; choose one of {', '.join(map(str, parts))}")
        return value
    if origin is tuple:
        variable = parts[-1] is Ellipsis
        if not isinstance(value, list | tuple) or not (variable or len(value) == len(parts)):
            raise MovinetError(f"{where} is {brief(value)}; want a list{'' if variable else f' of {len(parts)}'}")
        kinds = [parts[0]] * len(value) if variable else parts
        return tuple(
            _read(kind, item, f"{where}[{n}]") for n, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping):
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise MovinetError(f"{where} is {brief(value)}; want a mapping of names")
        return {key: _read(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Fraction:
        if isinstance(value, float) or type(value) is int or (isinstance(value, str) and _FRACTION.fullmatch(value)):
            try:
                return Fraction(value)
            except (ValueError, ArithmeticError):
                pass
        raise MovinetError(f"{where} is {brief(value)}; want a fraction such as 1/2")
    if hint is float:
        value = _number(value)
    if type(value) is not hint:
        raise MovinetError(f"{where} is {brief(value)}; want {_KINDS[hint]}")
    return value


def _number(value: Any) -> Any:
    """YAML reads 1 as a whole number and 1e-3 as text."""
    if type(value) is int or isinstance(value, str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return value
        return number if isfinite(number) else value
    return value


def _classes(hint: Any) -> list[Any]:
    choices = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    return [choice for choice in choices if is_dataclass(choice)]


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
