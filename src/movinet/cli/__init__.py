"""The command line: one plain function a command, in files by what people come for."""

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

from cyclopts import CycloptsError

from movinet.cli import commands  # noqa: F401  (they join the app)
from movinet.cli.app import app
from movinet.cli.console import complain, err, log_as_lines, print_nowhere
from movinet.cli.other_words import in_our_words
from movinet.errors import MovinetError, printable
from movinet.video.net.sources import without_password


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _with_stdin_last(tokens: Sequence[str]) -> list[str]:
    """`-`, which stands for standard input, after `--`: cyclopts takes it for an option otherwise."""
    if "-" not in tokens or "--" in tokens:
        return list(tokens)
    return [*(token for token in tokens if token != "-"), "--", *(token for token in tokens if token == "-")]


def _without_passwords(message: str, tokens: Sequence[str]) -> str:
    """What is said of what was typed, with addresses as they may be shown: also where they stand in a wrong place."""
    for token in tokens:
        for typed in (token, token.partition("=")[2] if token.startswith("--") else ""):
            if "@" in typed and (shown := without_password(typed)) != printable(typed):
                for way in (typed, repr(typed)[1:-1], str(Path(typed))):
                    message = message.replace(way, shown)
    return message


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one message and exit code 2, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # File names that are not UTF-8 survive; bars do not fail in a terminal that knows only ASCII.
            stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "replace")
    with suppress(ValueError):  # not in the main thread, as in a test
        signal.signal(signal.SIGTERM, _leave)  # as Ctrl-C does, it lets everything be put away
    typed = sys.argv[1:] if tokens is None else tokens
    try:
        with log_as_lines():
            code = app(_with_stdin_last(typed), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        file = next((token for token in typed if token.startswith("-") and Path(token).exists()), None)
        hint = "" if file is None else f" The file of that name is given as ./{file}"
        complain(MovinetError(_without_passwords(f"{in_our_words(error)}{hint}", typed)))
        code = 2
    except MovinetError as error:
        complain(MovinetError(_without_passwords(str(error), typed)))
        code = 2
    except KeyboardInterrupt:
        err.print("stopped")
        code = 130
    except BrokenPipeError:
        print_nowhere(sys.stdout)  # the reader (head, less) went away
        code = 141
    except OSError as error:  # stdout on a full disk, say
        complain(MovinetError(f"cannot go on: {error}"))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
