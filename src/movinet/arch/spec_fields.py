"""What specifications of every kind do with their fields: change some, and come from plain data."""

from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError, SpecError, brief
from movinet.words import did_you_mean


class Described(Protocol):
    """A dataclass with a name, as specifications of every kind are."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...


AnySpec = TypeVar("AnySpec", bound=Described)


def changed(spec: AnySpec, options: dict[str, Any]) -> AnySpec:
    """A copy with some fields changed, checked like any other specification.

    Raises:
        SpecError: there is no such field, or the network contradicts itself.
    """
    known = [field.name for field in fields(spec)]
    for option in options:
        if option not in known:
            raise SpecError(f"{spec.name}: a network has no option {brief(option)}{did_you_mean(option, known)}")
    # YAML and JSON know lists only.
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return replace(spec, **plain)


def from_fields(kind: type[AnySpec], data: Any, what: str) -> AnySpec:
    """A specification in plain types, as read from YAML or a weights file.

    Args:
        kind: the class.
        data: a mapping of its fields, if it is right.
        what: what messages call it.

    Raises:
        SpecError: a field is missing, unknown or contradicts another.
    """
    try:
        return from_plain(kind, data, what)
    except SpecError:
        raise
    except MovinetError as error:
        raise SpecError(f"not a specification: {error}") from error
