"""Specifications as YAML files."""

from pathlib import Path

from movinet.arch.baseline_spec import BASELINES
from movinet.arch.spec import Spec, spec_from_dict
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import MovinetError, SpecError
from movinet.reading import parse_yaml, read_yaml
from movinet.words import did_you_mean


def dump_spec(spec: Spec) -> str:
    """The specification as YAML text; `parse_spec` reads it back."""
    import yaml

    return yaml.safe_dump(spec.to_dict(), sort_keys=False, default_flow_style=None, width=120)


def parse_spec(text: str) -> Spec:
    """The specification in YAML text.

    Raises:
        SpecError: the text is not YAML or not a specification.
    """
    try:
        return spec_from_dict(parse_yaml(text))
    except SpecError:
        raise
    except MovinetError as error:
        raise SpecError(str(error)) from error


def read_spec(path: str | Path) -> Spec:
    """The specification in a YAML file.

    Raises:
        SpecError: the file is missing, not YAML or not a specification.
    """
    try:
        data = read_yaml(path, "specification")
    except MovinetError as error:
        raise SpecError(str(error)) from error
    try:
        return spec_from_dict(data)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


def find_spec(name_or_path: str | Path) -> Spec:
    """The specification of a published network by name, also of one to compare with, or one in a YAML file.

    Raises:
        SpecError: there is neither.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return read_spec(path)
    name = str(name_or_path)
    if name not in BASELINES and name not in network_names():
        raise SpecError(f"no network is called {name!r}{did_you_mean(name, [*network_names(), *BASELINES], most=2)}")
    return BASELINES.get(name) or network_spec(name)
