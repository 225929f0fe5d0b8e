"""A log of what happens: whole lines, added to what is there, and no reason to stop watching."""

import json
import logging
import os
from pathlib import Path

import pytest
from reports import ONE_OF_EACH, report

from movinet.errors import MovinetError
from movinet.live.event_log import EventLog
from movinet.live.json_lines import as_json


def test_everything_but_predictions_is_added(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"type": "before"}\n')
    with EventLog(path) as log:
        for what in ONE_OF_EACH.values():
            log.tell(report(what))
            lines = path.read_text().splitlines()  # each is there at once, and whole
            assert all(json.loads(line) for line in lines)
    first, *rest = map(json.loads, lines)
    assert first == {"type": "before"}
    assert rest == [as_json(report(what)) for kind, what in ONE_OF_EACH.items() if kind != "prediction"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_leaves_out_lines_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "log.jsonl"
    path.symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING), EventLog(path) as log:
        for _ in range(3):
            log.tell(report(ONE_OF_EACH["begun"]))
        path.unlink()  # there is room again
        log.tell(report(ONE_OF_EACH["ended"]))
    assert [record.message for record in caplog.records] == [
        f"{path}: what happens is missing here: No space left on device"
    ]
    (line,) = path.read_text().splitlines()
    assert json.loads(line) == as_json(report(ONE_OF_EACH["ended"]))


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be moved there")
def test_a_log_that_is_moved_away_or_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with EventLog(path) as log:
        for n in range(3):
            log.tell(report(ONE_OF_EACH["begun"]))
            path.rename(tmp_path / f"old{n}")
        log.tell(report(ONE_OF_EACH["ended"]))
        path.unlink()
        log.tell(report(ONE_OF_EACH["ended"]))
    assert [len(one.read_text().splitlines()) for one in sorted(tmp_path.iterdir())] == [1, 1, 1, 1]


def test_where_nothing_can_be_written_it_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="cannot write"):
        EventLog(tmp_path)
