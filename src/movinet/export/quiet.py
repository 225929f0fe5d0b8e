"""Converters talk a lot, about themselves."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings, no log below errors, nothing printed: what matters is whether the result answers rightly."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def error_stream_closed() -> Iterator[None]:
    """For LiteRT, which tells of everything it does on the error stream, beneath Python, and cannot be asked not to."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no error stream
        yield
        return
    close_error_stream()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def close_error_stream() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
