"""Reading lists: rows with the place they stand in, so that what is wrong with one can be found."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief
from movinet.reading import parse_json
from movinet.words import counted


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without byte order mark.

    Raises:
        MovinetError: it cannot be read, or is no such text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MovinetError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MovinetError(f"{path}: not a list in UTF-8 (byte {error.start})") from None


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(where, line) of every line that is not blank, stripped."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield f"line {number}", line.strip()


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """The columns of a CSV file, in lower case, and (where, cells by column) of every row. Commas, semicolons or tabs.

    Raises:
        MovinetError: it is empty or, while rows are read, one has more or fewer cells than there are columns.
    """
    text = read_text(path)
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=max(",;\t", key=header.count))
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise malformed(path, "line 1", str(error)) from None
    if not any(columns):
        raise MovinetError(f"{path}: empty; the first line must name the columns, such as file,label")
    if twice := next((name for name in columns if name and columns.count(name) > 1), None):
        raise malformed(path, "line 1", f"the column {brief(twice)} is there twice")

    def rows() -> Iterator[tuple[str, dict[str, str]]]:
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise malformed(path, f"line {reader.line_num}", str(error)) from None
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(columns):
                wrong = f"{counted(len(cells), 'cell')} for {counted(len(columns), 'column')}"
                raise malformed(path, f"line {reader.line_num}", wrong)
            yield f"line {reader.line_num}", dict(zip(columns, (cell.strip() for cell in cells), strict=True))

    return columns, rows()


def read_json(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(where, object) for every object of a JSON array, or of a file with one object a line (JSONL).

    Raises:
        MovinetError: it is neither.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            entries = [(f"entry {number}", value) for number, value in enumerate(parse_json(text), 1)]
        except MovinetError as error:
            raise MovinetError(f"{path}: {error}") from None
    else:
        entries = []
        for where, line in read_lines(path):
            try:
                entries.append((where, parse_json(line)))
            except MovinetError as error:
                raise malformed(path, where, str(error)) from None
    for where, value in entries:
        if not isinstance(value, dict):
            raise malformed(path, where, f'want an object such as {{"file": …, "label": …}}, not {value!r:.40}')
    return entries


def malformed(path: Path, where: str, why: str) -> MovinetError:
    return MovinetError(f"{path}, {where}: {why}")
