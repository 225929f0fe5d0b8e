"""The figures of a run: two tables that grow line by line, and TensorBoard's events beside them."""

import csv
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

STEPS, EPOCHS, TENSORBOARD = "steps.csv", "epochs.csv", "tensorboard"

logger = logging.getLogger(__name__)


class RunLog:
    """Writes `steps.csv` and `epochs.csv`, and the folder `tensorboard` where asked for and its package is there.

    A row is in its file when the call returns. While it cannot be written, say on a full disk, there is one warning,
    the run goes on, and the row comes with a later one. Reading gives the very numbers that were written, `nan` and
    `inf` among them.

    Args:
        folder: Of the run, which exists.
        steps: Columns of `steps.csv` after `step` and `epoch`.
        epochs: Columns of `epochs.csv` after `step` and `epoch`.
        tensorboard: Write its events too.
        resume_at: The step a run goes on from: rows of later ones, from before it broke off, are dropped. None: begin
            anew.

    Raises:
        MovinetError: The tables cannot be written, or the run goes on with other columns.
    """

    def __init__(
        self,
        folder: str | Path,
        steps: Sequence[str],
        epochs: Sequence[str],
        *,
        tensorboard: bool = False,
        resume_at: int | None = None,
    ) -> None:
        self._steps = _Table(Path(folder, STEPS), ("step", "epoch", *steps), resume_at)
        self._epochs = _Table(Path(folder, EPOCHS), ("step", "epoch", *epochs), resume_at)
        self._board = _open_board(Path(folder, TENSORBOARD), resume_at) if tensorboard else None

    def step(self, row: Mapping[str, float]) -> None:
        """A row of `steps.csv`, by column; those it lacks stay empty."""
        self._steps.append(row)
        self._show("steps", row)

    def epoch(self, row: Mapping[str, float]) -> None:
        """A row of `epochs.csv`; its `step` is the one that ended the epoch."""
        self._epochs.append(row)
        self._show("epochs", row)

    def close(self) -> None:
        """Write what is waiting."""
        self._steps.close()
        self._epochs.close()
        if self._board:
            with suppress(OSError):
                self._board.close()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show(self, table: str, row: Mapping[str, float]) -> None:
        if not self._board:
            return
        try:
            for column, value in row.items():
                if column not in ("step", "epoch"):
                    self._board.add_scalar(f"{table}/{column}", value, int(row["step"]))
        except OSError as error:
            logger.warning("no more TensorBoard events, they cannot be written: %s", error)
            self._board = None


@dataclass(frozen=True)
class Log:
    """What a run has logged: float64 arrays by column, NaN where a row has nothing.

    Attributes:
        steps: Of `steps.csv`.
        epochs: Of `epochs.csv`.
    """

    steps: Mapping[str, NDArray[np.float64]]
    epochs: Mapping[str, NDArray[np.float64]]


def read_log(folder: str | Path) -> Log:
    """The tables of a run that has ended or is still going on.

    Raises:
        MovinetError: A table is missing, or no table of numbers.
    """
    return Log(_read(Path(folder, STEPS)), _read(Path(folder, EPOCHS)))


class _Table:
    def __init__(self, path: Path, columns: tuple[str, ...], resume_at: int | None) -> None:
        self._path, self._columns = path, columns
        header = ",".join(columns)
        rows = [] if resume_at is None or not path.exists() else _rows_until(path, header, resume_at)
        write_atomically(path, "".join(f"{row}\n" for row in (header, *rows)).encode())
        self._file = path.open("ab", buffering=0)
        self._waiting = bytearray()
        self._warned = False

    def append(self, row: Mapping[str, float]) -> None:
        if odd := (row.keys() - set(self._columns)) | ({"step", "epoch"} - row.keys()):
            raise ValueError(f"{self._path.name}: a row has too many or too few columns: {', '.join(sorted(odd))}")
        cells = (_cell(row[column]) if column in row else "" for column in self._columns)
        self._waiting += (",".join(cells) + "\n").encode()
        self._write()

    def close(self) -> None:
        self._write()
        self._file.close()

    def _write(self) -> None:
        try:
            while self._waiting:  # a disk that fills up takes half a row; the other half is first in line
                del self._waiting[: self._file.write(self._waiting)]
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning("%s: cannot write: %s; the run goes on", self._path, error.strerror or error)


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _rows_until(path: Path, header: str, step: int) -> list[str]:
    """The rows up to a step; one that was half written counts as missing."""
    try:
        there, *rows = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, ValueError) as error:
        raise MovinetError(f"{path}: cannot read the log of the run that is to go on: {error}") from error
    if there != header:
        raise MovinetError(f"{path}: has the columns {there}, but the run goes on with {header}")
    kept = []
    for row in rows:
        number = row.partition(",")[0]
        if not number.isdigit() or row.count(",") != header.count(","):
            break
        if int(number) <= step:
            kept.append(row)
    return kept


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        whole = [[float(cell or "nan") for cell in row] for row in rows if len(row) == len(header)]
    except OSError as error:
        raise MovinetError(f"{path}: cannot read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise MovinetError(f"{path}: not a table of numbers: {error}") from error
    numbers = np.array(whole, np.float64).reshape(len(whole), len(header))
    return {column: numbers[:, n] for n, column in enumerate(header)}


def _open_board(folder: Path, resume_at: int | None) -> "SummaryWriter | None":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # without the extra `train` the tables are all there is
        return None
    try:
        return SummaryWriter(folder, purge_step=None if resume_at is None else resume_at + 1, flush_secs=30)
    except OSError as error:
        logger.warning("%s: no TensorBoard events: %s", folder, error.strerror or error)
        return None
