"""A network shown every video of a set by one protocol: resumable, and no broken video ends it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.evaluate.answer_file import AnswerFile, Record
from movinet.evaluate.clip_protocols import Answer, Protocol, check, describe, show
from movinet.evaluate.footage import Footage
from movinet.evaluate.judged import Judged
from movinet.evaluate.label_match import LabelMatch
from movinet.files import dump_json
from movinet.metrics import top_k_hits
from movinet.words import counted

_FORGOTTEN = 30 * 86400  # seconds


@dataclass(frozen=True)
class Outcome:
    """What a network said of a set.

    Args:
        judged: the network.
        protocol: how it was asked.
        names: of its classes.
        multi_label: whether videos may have any number of labels.
        footage: the videos it answered for, in the set's order.
        records: what it said of each.
        unreadable: why others have no answer, one message each.
        skipped: videos left out because the network does not know their labels.
        data_hash: SHA-256 over names, labels, stretches and sizes of all videos.
        resumed: how many of the answers an earlier run had found.
        classes: by label.
    """

    judged: Judged
    protocol: Protocol
    names: tuple[str, ...]
    multi_label: bool
    footage: tuple[Footage, ...]
    records: tuple[Record, ...]
    unreadable: tuple[str, ...]
    skipped: int
    data_hash: str
    resumed: int
    classes: Mapping[str, int]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(videos, num_classes)."""
        return np.stack([record.probabilities for record in self.records])

    @property
    def targets(self) -> NDArray[np.int64]:
        """(videos,) classes; (videos, num_classes) of 0 and 1 where videos may have any number of labels."""
        if not self.multi_label:
            return np.array([self.classes[footage.labels[0]] for footage in self.footage])
        return np.stack([_row(footage, self.classes, self.judged.num_classes) for footage in self.footage])


def run_evaluation(
    judged: Judged,
    footage: Sequence[Footage],
    protocol: Protocol,
    match: LabelMatch,
    *,
    multi_label: bool = False,
    answers: str | Path | None = None,
    scratch: str | Path | None = None,
    also: Mapping[str, object] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_error: Callable[[MovinetError], None] = lambda error: None,
) -> Outcome:
    """Show a network every video.

    Args:
        judged: the network.
        footage: the videos; those with a label the network does not know are left out.
        protocol: how they are shown.
        match: which classes their labels are.
        multi_label: whether a video may have any number of labels.
        answers: a file for what it says (see `AnswerFile`), with which a run that was killed goes on.
        scratch: a folder where such a file is kept until all is done, where `answers` names none.
        also: what else the answers depend on, such as the memory of a stream.
        progress: called with the videos that are done and all there are.
        on_error: called with what is wrong with a video that has no answer.

    Raises:
        MovinetError: there are no videos, the network cannot be asked so, not one video can be read, or `answers`
            is the file of another run or cannot be written.
    """
    check(judged, protocol)
    data_hash = _digest([one.fingerprint for one in footage])
    known = [one for one in footage if not set(one.labels) - match.classes.keys()]
    if not known:
        raise MovinetError("there are no videos to evaluate")
    about = {"model": judged.name, "protocol": describe(protocol, judged), "videos": len(known)}
    what = [judged.answers_hash, judged.runs_on, judged.transform.to_dict(), protocol.settings(), dict(also or {})]
    key = _digest([what, data_hash, multi_label, {label: match.classes[label] for label in sorted(match.classes)}])
    wanted = None if protocol.kind != "stream" else "by_share" if multi_label else "hits"
    file = None
    if answers is not None:
        file = AnswerFile(answers, key, about, judged.num_classes)
    elif scratch is not None:
        with suppress(MovinetError, OSError):  # nothing is lost by it but what a run that is killed had found
            file = AnswerFile(_swept(Path(scratch)) / f"{key[:32]}.jsonl", key, about, judged.num_classes)
    found = file.records if file else {}
    records = {number: record for number, record in found.items() if _fits(number, record, len(known), wanted)}
    resumed, unreadable, done = len(records), list[str](), False
    try:
        for number, one in enumerate(known):
            if number not in records:
                try:
                    records[number] = _record(show(judged, one, protocol), one, match.classes, multi_label)
                except (ValueError, FFmpegError, OSError) as error:
                    told = error if isinstance(error, MovinetError) else MovinetError(f"{one.name}: {error}")
                    unreadable.append(str(told))
                    on_error(told)
                else:
                    if file and not _kept(file, number, records[number], needed=answers is not None):
                        file = None
            if progress:
                progress(number + 1, len(known))
        done = True
    finally:
        if file:
            file.close(remove=done and answers is None)
    answered = sorted(records)
    if not answered:
        raise MovinetError(f"not one of {counted(len(known), 'video')} could be evaluated; the first: {unreadable[0]}")
    return Outcome(
        judged,
        protocol,
        match.names,
        multi_label,
        tuple(known[number] for number in answered),
        tuple(records[number] for number in answered),
        tuple(unreadable),
        len(footage) - len(known),
        data_hash,
        resumed,
        match.classes,
    )


def _kept(file: AnswerFile, number: int, record: Record, needed: bool) -> bool:
    """Whether a record could be written; where nobody asked for the file, a full disk ends no evaluation."""
    try:
        file.add(number, record)
    except MovinetError:
        if needed:
            raise
        file.close(remove=True)
        return False
    return True


def _record(answer: Answer, footage: Footage, classes: Mapping[str, int], multi_label: bool) -> Record:
    """What is kept of an answer: of streams with one label what became of it, not all that was said."""
    hits, every, by_share = None, None, answer.by_share
    if by_share is not None and answer.every is not None and not multi_label:
        targets = np.full(len(by_share), classes[footage.labels[0]])
        hits = top_k_hits(by_share, targets, (1, 5)).astype(np.float32)
        every, by_share = float(answer.every[targets[0]]), None
    return Record(
        answer.probabilities, answer.frames, answer.lasts, answer.short, answer.decode_seconds, answer.network_seconds,
        hits, every, by_share,
    )  # fmt: skip


def _fits(number: int, record: Record, videos: int, wanted: str | None) -> bool:
    """Whether a line of a file, which may be anybody's, is an answer that this run would have written."""
    there = {name for name in ("hits", "by_share") if getattr(record, name) is not None}
    return 0 <= number < videos and there == ({wanted} if wanted else set())


def _row(footage: Footage, classes: Mapping[str, int], num_classes: int) -> NDArray[np.int64]:
    row = np.zeros(num_classes, np.int64)
    row[[classes[label] for label in footage.labels]] = 1
    return row


def _swept(folder: Path) -> Path:
    """The folder, without what runs left there that nobody has gone on with for a month."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.jsonl"):
        if path.stat().st_mtime < time() - _FORGOTTEN:
            path.unlink()
    return folder


def _digest(value: object) -> str:
    return hashlib.sha256(dump_json(value).encode()).hexdigest()
