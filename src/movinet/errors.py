"""The errors a user can do something about."""

from collections.abc import Iterator
from contextlib import contextmanager


class MovinetError(ValueError):
    """Bad input: the message says what was wrong, where, and what to do. The command line prints it, exit code 2."""


class VideoError(MovinetError):
    """A video or live source could not be opened or read."""


class WeightsError(MovinetError):
    """A weights file, checkpoint or download is missing, damaged or does not fit the network."""


class SpecError(MovinetError):
    """A network specification contradicts itself."""


def brief(value: object, most: int = 100) -> str:
    """What a value is, for a message of bearable length."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Around imports of optional packages: where they are missing, the message says how to get them."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MovinetError(
            f"{error.name or error} is not installed: pip install 'movinet[{name}]' brings it"
        ) from error
    except ImportError as error:
        raise MovinetError(
            f"what 'movinet[{name}]' needs is installed, but cannot be loaded ({error}): install it anew, or do without"
        ) from error
