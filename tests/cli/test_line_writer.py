"""Lines for somebody who does not read them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TextIO

import pytest

from movinet.cli.line_writer import LineWriter

LINE = "x" * 1000


class Told:
    """What is told, and a wait for it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, words: str) -> None:
        with self._changed:
            self.words.append(words)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.words) >= count, 10)


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Its reader's end, and the writer's."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        yield reader, file


def test_nobody_waits_for_a_reader_who_stalls_and_what_is_left_out_is_told() -> None:
    told, read = Told(), b""
    with pipe() as (reader, file), LineWriter(file, "the pipe", told, most=10) as lines:
        for number in range(500):  # much more than a pipe holds
            lines.put(f"{number} {LINE}")
        assert told.words == ["the pipe is not read: of more than 10 lines the oldest are left out"]
        while len(told.words) < 2:
            read += os.read(reader, 1 << 16)
            if b"499 " in read:
                told.wait(2)
        left_out = int(told.words[1].removeprefix("the pipe is read again: ").split()[0])
        lines.put("the last")
        lines.close()
        read += os.read(reader, 1 << 16)
        os.close(reader)
    numbers = [line.split()[0] for line in read.decode().splitlines()]
    assert numbers[-11:] == [*map(str, range(490, 500)), "the"]
    assert len(numbers) - 1 + left_out == 500
    assert len(told.words) == 2


def test_the_end_waits_for_no_reader_but_tells() -> None:
    told = Told()
    with pipe() as (reader, file):
        lines = LineWriter(file, "the pipe", told).__enter__()
        for _ in range(500):
            lines.put(LINE)
        lines.close(within=0.05)
        assert len(told.words) == 1
        assert told.words[0].startswith("the pipe was not read: ")
        os.close(reader)


def test_a_reader_who_goes_away_is_a_fault() -> None:
    told = Told()
    with pipe() as (reader, file), LineWriter(file, "the pipe", told) as lines:
        os.close(reader)
        lines.put(LINE)
        lines.close()
        assert isinstance(lines.failed, BrokenPipeError)
        lines.put(LINE)
    assert told.words == []


def test_a_file_of_text_alone_takes_them() -> None:
    file = StringIO()
    with LineWriter(file, "the file", pytest.fail) as lines:
        lines.put("süß")
    assert file.getvalue().splitlines() == ["süß"]


def test_lines_are_whole_where_the_file_never_blocks(tmp_path: object) -> None:
    with pipe() as (reader, file), LineWriter(file, "the pipe", pytest.fail) as lines:
        os.set_blocking(file.fileno(), False)
        for number in range(300):
            lines.put(f"{number} {LINE}")
        read = b""
        while read.count(b"\n") < 300:
            read += os.read(reader, 1 << 16)
        os.close(reader)
    assert read.decode().splitlines() == [f"{number} {LINE}" for number in range(300)]
