"""A file that all that happens, but predictions, is added to: JSON, a line each, as of `movinet watch --json`."""

import errno
import logging
import os
from io import FileIO
from pathlib import Path
from typing import Self

from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.live.json_lines import as_json
from movinet.live.report import Report, Seen

logger = logging.getLogger(__name__)


class EventLog:
    """A context manager. Where a line cannot be written, as on a full disk, it is missing, which is told once; the next
    is tried again. A file that was moved away or deleted, as logs are rotated, is begun anew.

    Args:
        path: of the file; what is in it stays.

    Raises:
        MovinetError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._failing = path, False
        try:
            self._file = FileIO(path, "a")
        except OSError as error:
            raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._file.close()
        except OSError as fault:  # some file systems tell only now
            self._tell_missing(fault)

    def tell(self, report: Report) -> None:
        """Add a report, unless it is a prediction."""
        if isinstance(report.what, Seen):
            return
        try:
            self._write(f"{dump_json(as_json(report))}\n".encode())
            self._failing = False
        except OSError as fault:
            self._tell_missing(fault)

    def _write(self, line: bytes) -> None:
        if self._is_gone():
            self._file.close()
            self._file = FileIO(self.path, "a")
        written = self._file.write(line)
        if written < len(line):  # half a line is none
            self._file.truncate(self._file.tell() - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_gone(self) -> bool:
        """Whether another file, or none, has the name."""
        try:
            return self._file.closed or not os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True

    def _tell_missing(self, fault: OSError) -> None:
        if not self._failing:
            logger.warning("%s: what happens is missing here: %s", self.path, fault.strerror or fault)
        self._failing = True
