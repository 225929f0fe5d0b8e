"""A file that all that happens, but predictions, is added to: JSON, a line each, as of `movinet watch --json`."""

import logging
from pathlib import Path
from typing import Self

from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.live.json_lines import as_json
from movinet.live.report import Report, Seen

logger = logging.getLogger(__name__)


class EventLog:
    """A context manager. A disk that is full ends the log, not the watching: it is told once.

    Args:
        path: of the file; what is in it stays.

    Raises:
        MovinetError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._broken = path, False
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._file.close()
        except OSError as fault:
            self._give_up(fault)

    def tell(self, report: Report) -> None:
        """Add a report, unless it is a prediction."""
        if self._broken or isinstance(report.what, Seen):
            return
        try:
            self._file.write(f"{dump_json(as_json(report))}\n")
        except OSError as fault:
            self._give_up(fault)

    def _give_up(self, fault: OSError) -> None:
        if not self._broken:
            logger.warning("%s: the log ends here: %s", self.path, fault.strerror or fault)
        self._broken = True
