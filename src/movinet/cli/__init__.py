"""The command line: one plain function a command, in files by what people come for."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType

from cyclopts import CycloptsError

from movinet.cli import commands  # noqa: F401  (they join the app)
from movinet.cli.app import app
from movinet.cli.console import complain, err, log_as_lines
from movinet.errors import MovinetError


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one message and exit code 2, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # File names that are not UTF-8 survive; bars do not fail in a terminal that knows only ASCII.
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "replace")
    with suppress(ValueError):  # not in the main thread, as in a test
        signal.signal(signal.SIGTERM, _leave)  # as Ctrl-C does, it lets everything be put away
    try:
        with log_as_lines():
            code = app(tokens, exit_on_error=False)
    except CycloptsError:
        code = 2  # cyclopts has said why
    except MovinetError as error:
        complain(error)
        code = 2
    except KeyboardInterrupt:
        err.print("stopped")
        code = 130
    except BrokenPipeError:
        # The reader (head, less) went away; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:  # stdout on a full disk, say
        complain(MovinetError(f"cannot go on: {error}"))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
