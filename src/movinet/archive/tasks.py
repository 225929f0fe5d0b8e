"""What is to be done with a video of an archive, and what came of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from movinet.archive.items import Item
from movinet.archive.pieces import Piece
from movinet.archive.tally import Answers


@dataclass(frozen=True)
class Wishes:
    """What is wanted of every video, beside its row.

    Args:
        answers: what the row is made of.
        frames: every frame's probabilities.
        vectors: one vector a second, to search by.
        piece: seconds of the pieces of a long file; 0: none is cut; None: as `movinet.archive.pieces` says.
    """

    answers: Answers
    frames: bool = False
    vectors: bool = False
    piece: float | None = None


@dataclass(frozen=True)
class Task:
    """A video to look at; a piece of one; or the pieces of one to put together.

    Args:
        number: of the task, in its run.
        item: the video.
        piece: which part.
        done: of all pieces in order, what came of them.
    """

    number: int
    item: Item
    piece: Piece | None = None
    done: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    row: the video's row; `files`: what was spooled for it, by table.
    cut: it is to be looked at in pieces.
    piece: of one of them, what the pieces are put together of.
    stop: the scan cannot go on.
    """

    number: int
    kind: Literal["row", "cut", "piece", "stop"]
    row: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    error: str = ""
