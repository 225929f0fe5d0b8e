"""The application every command belongs to, and what commands share."""

from math import inf
from typing import Annotated

from cyclopts import App, Parameter

from movinet import __version__
from movinet.errors import MovinetError

MOST_THREADS = 1024

app = App(
    name="movinet",
    help="Recognize what happens in videos and live sources, frame by frame.",
    version=__version__,
    version_format="plaintext",
    help_format="markdown",
    default_parameter=Parameter(negative=(), json_list=False, json_dict=False),  # `[x] y.mp4` is a file
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main has a word to say
)

Model = Annotated[str | None, Parameter(name=["--model", "-m"])]


def at_least_one(name: str, value: int) -> None:
    """Refuse a count below one."""
    if value < 1:
        raise MovinetError(f"{name} must be at least 1, got {value}")


def seconds(name: str, value: float | None) -> None:
    """Refuse a time that is negative, infinite or no number."""
    if value is not None and not 0 <= value < inf:
        raise MovinetError(f"{name} must be seconds, at least 0; got {value}")


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that no machine has."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise MovinetError(f"--threads must lie in 1 to {MOST_THREADS}, got {threads}")
