"""What is done with events: by commands, by posting, and what happens when either is slow, broken or gone."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer, Request, site
from reports import ONE_OF_EACH, report

from movinet.errors import MovinetError
from movinet.live.actions import Action, Actions, Done, Failed, Worker
from movinet.live.command import Command
from movinet.live.report import Report
from movinet.live.webhook import Webhook
from movinet.video.net.sources import Limits

BEGUN, ENDED = report(ONE_OF_EACH["begun"]), report(ONE_OF_EACH["ended"])
posix = pytest.mark.skipif(os.name != "posix", reason="runs sh")


@dataclass(eq=False)
class Slow:
    """Waits until it is let go; fails as often as told."""

    at_once: int = 1
    name: str = "slow"
    failures: int = 0
    again: bool = True
    go: threading.Event = field(default_factory=threading.Event)
    done: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    def wants(self, report: Report) -> bool:
        return True

    def do(self, about: dict[str, Any], closing: threading.Event) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.go.wait(5)
        self.under_way -= 1
        if self.failures:
            self.failures -= 1
            raise Failed("not today", self.again)
        self.done.append(about["source"])


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def of(source: str) -> Report:
    return report(ONE_OF_EACH["begun"], source)


def test_telling_never_waits_and_the_newest_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    with Worker(slow, queued=3) as worker:
        worker.tell(of("first"))
        until(lambda: slow.under_way)
        began = time.monotonic()
        for n in range(1000):
            worker.tell(of(str(n)))
        assert time.monotonic() - began < 1.0
        slow.go.set()
    assert slow.done == ["first", "997", "998", "999"]
    assert worker.done == Done(4, 0, 997)
    assert [record.message for record in caplog.records] == [
        "slow: more events than it keeps up with, the oldest are left out",
        "slow: 997 events were lost",
    ], "a fault that goes on is not told a thousand times"


def test_no_more_than_so_many_are_under_way_at_once() -> None:
    slow = Slow(at_once=3)
    with Worker(slow) as worker:
        for n in range(20):
            worker.tell(of(str(n)))
        until(lambda: slow.under_way == 3)
        slow.go.set()
    assert slow.most == 3
    assert len(slow.done) == 20


def test_what_fails_is_tried_again_where_that_may_help(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow(failures=2)
    slow.go.set()
    with Worker(slow, pause=(0.01, 0.02)) as worker:
        worker.tell(of("a"))
        until(lambda: slow.done)
        slow.failures, slow.again = 2, False
        for name in "bcd":
            worker.tell(of(name))
        until(lambda: len(slow.done) == 2)
    assert slow.done == ["a", "d"]
    assert worker.done == Done(2, 2, 0)
    assert "slow: not today; trying again" in caplog.text


def test_faults_that_come_and_go_are_told_once_and_when_they_are_over(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    slow.go.set()
    with Worker(slow, attempts=2, pause=(0.01, 0.02), well_after=0.3) as worker:
        for number in range(5):  # each at its second attempt
            slow.failures = 1
            worker.tell(of(str(number)))
            until(lambda number=number: worker.done.done == number + 1)
        slow.failures = 4
        worker.tell(of("lost"))
        worker.tell(of("lost"))
        until(lambda: worker.done.failed == 2)
        time.sleep(0.35)
        worker.tell(of("well"))
        until(lambda: worker.done.done == 6)
        worker.tell(of("well"))
    assert [record.message for record in caplog.records] == [
        "slow: not today; trying again",
        "slow: works again; 2 events were lost",
    ]


def test_attempts_end(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow(failures=100)
    slow.go.set()
    with Worker(slow, attempts=3, pause=(0.01, 0.02)) as worker:
        worker.tell(of("a"))
        until(lambda: worker.done.failed)
    assert slow.failures == 97


def test_the_end_waits_for_what_is_under_way_but_not_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    worker = Worker(slow)
    with Actions({"a": [slow]}, lambda action: worker) as actions:
        actions.tell(of("a"))
        actions.tell(of("a"))
        actions.tell(of("b"))  # whose actions are none
        until(lambda: slow.under_way)
        began = time.monotonic()
        actions.close(0.3)
        assert 0.25 < time.monotonic() - began < 1.5
        slow.go.set()
    assert "2 of the last events were not told in time" in caplog.text


def test_a_fault_of_an_action_is_not_the_end_of_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Slow):
        def do(self, about: dict[str, Any], closing: threading.Event) -> None:
            if about["source"] == "bad":
                raise KeyError("oh")
            self.done.append(about["source"])

    broken: Action = Broken()
    with Worker(broken) as worker:
        worker.tell(of("bad"))
        worker.tell(of("good"))
        until(lambda: worker.done.done)
    assert worker.done == Done(1, 1, 0)
    assert "KeyError" in caplog.text


def shell(script: str, **kwargs: Any) -> Command:
    return Command(("sh", "-c", script), **kwargs)


@posix
def test_a_command_is_given_the_event_and_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOVINET_PASSWORD", "MOVINET_USER", "MOVINET_PASSWORD_HALL", "MOVINET_WEBHOOK_HEADER", "HALL_SECRET"):
        monkeypatch.setenv(name, "secret9")
    monkeypatch.setenv("HARMLESS", "yes")
    command = Command.of(
        f"sh -c 'cat > {tmp_path}/in; env > {tmp_path}/env; echo chatter' x", frozenset({"HALL_SECRET"})
    )
    with Worker(command) as worker:
        for kind in ONE_OF_EACH:
            worker.tell(report(ONE_OF_EACH[kind])) if kind in ("prediction", "ended", "lost") else None
    assert worker.done == Done(1, 0, 0), "events alone"
    line = json.loads((tmp_path / "in").read_text())
    assert (line["type"], line["source"], line["label"], line["end"]) == ("ended", "front door", "star", 2.6)
    environment = (tmp_path / "env").read_text()
    for words in ("MOVINET_TYPE=ended", "MOVINET_SOURCE=front door", "MOVINET_LABEL=star", "MOVINET_START=1.2",
                  "MOVINET_END=2.6", "MOVINET_CONFIDENCE=0.9", "MOVINET_WALL=2026-", "HARMLESS=yes"):  # fmt: skip
        assert words in environment
    assert "secret9" not in environment


@posix
def test_a_command_that_goes_on_is_ended_with_all_it_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Worker(shell(f"(sleep 1; touch {tmp_path}/alive) & sleep 20", timeout=0.3)) as worker:
        worker.tell(BEGUN)
        until(lambda: worker.done.failed)
    assert "still running after 0.3 s, ended" in caplog.text
    time.sleep(1.0)
    assert not (tmp_path / "alive").exists()


@posix
def test_no_command_outlives_what_started_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.touch()
    script = f"""
import pathlib, threading, time
from movinet.live.command import Command
for trap in ("", "trap '' TERM; "):
    command = Command(("sh", "-c", trap + "echo $$ >> {begun}; sleep 20 & wait; sleep 20"))
    threading.Thread(target=command.do, args=({{}}, threading.Event()), daemon=True).start()
while pathlib.Path("{begun}").read_text().count("\\n") < 2:
    time.sleep(0.02)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    for group in begun.read_text().split():
        until(lambda group=group: not _runs(int(group)))


def _runs(group: int) -> bool:
    """Whether anything of a group of processes does; what has ended and was not waited for does not."""
    said = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(int(line.split()[0]) == group and not line.split()[1].startswith("Z") for line in said.splitlines())


@posix
def test_a_command_may_leave_something_running_and_not_read_its_input() -> None:
    before = threading.active_count()
    with Worker(shell("exec <&-; sleep 2 & exit 0")) as worker:
        for _ in range(5):
            worker.tell(BEGUN)
        until(lambda: worker.done.done == 5)
    until(lambda: threading.active_count() <= before)


@posix
def test_a_command_that_fails_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with Worker(shell("yes out of paper | head -c 1000000 >&2; exit 3")) as worker:
        worker.tell(BEGUN)
        until(lambda: worker.done.failed)
    assert "--on-event sh: exit code 3: out of paper" in caplog.text
    assert len(caplog.text) < 1000


@pytest.mark.parametrize(
    ("text", "words"), [("", "want a command"), ("a 'b", "No closing quotation"), ("no-such-program x", "no program")]
)
def test_what_is_no_command_is_refused(text: str, words: str) -> None:
    with pytest.raises(MovinetError, match=words):
        Command.of(text)


@pytest.mark.parametrize(
    "text", ["sort >> events", "sort >events", "sort 2>&1", "sort | tee x", "sort && tail", "sort $MOVINET_LABEL"]
)
def test_what_only_a_shell_would_obey_is_refused(text: str) -> None:
    with pytest.raises(MovinetError, match=r"without a shell.* a mere word to 'sort'; for a shell: .*sh -c"):
        Command.of(text)
    assert Command.of(f"sh -c '{text}'").words == ("sh", "-c", text)


def test_a_command_is_run_without_a_shell() -> None:
    command = Command.of(f"'{sys.executable}' -c pass '$(touch x); y'")
    assert command.words[1:] == ("-c", "pass", "$(touch x); y")


def test_everything_but_predictions_is_posted_in_order() -> None:
    with site({"/hook": b"thanks"}) as web:
        hook = Webhook.of(web.url("/hook?a=b", user="me:s3cret@"), environment={"MOVINET_WEBHOOK_HEADER": "X-Key: k9"})
        with Worker(hook) as worker:
            for kind in ONE_OF_EACH:
                worker.tell(report(ONE_OF_EACH[kind]))
        assert "s3cret" not in hook.name + repr(hook)
        assert "k9" not in hook.name + repr(hook)
    assert [json.loads(request.body)["type"] for request in web.asked] == list(ONE_OF_EACH)[1:]
    assert {request.path for request in web.asked} == {"/hook?a=b"}
    headers = web.asked[0].headers
    assert headers["X-Key"] == "k9"
    assert headers["Authorization"] == "Basic bWU6czNjcmV0"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{web.port}"


def test_posting_is_tried_again_until_the_server_is_well(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([500, 429, 503])

    def page(request: Request) -> Answer:
        return Answer(b"", next(answers, 204))

    with site(page) as web, Worker(Webhook.of(web.url("/")), pause=(0.01, 0.02)) as worker:
        worker.tell(BEGUN)
        worker.tell(ENDED)
        until(lambda: worker.done.done == 2)
    assert [json.loads(request.body)["type"] for request in web.asked] == ["begun"] * 4 + ["ended"]
    assert "the server answers 500" in caplog.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"", 404), "answers 404 Not Found"),
        (Answer(b"", 302, {"Location": "http://127.0.0.2/"}), "answers 302 Found, elsewhere"),
    ],
)
def test_what_lasts_is_told_and_not_tried_again(answer: Answer, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with site({"/": answer}) as web, Worker(Webhook.of(web.url("/"))) as worker:
        worker.tell(BEGUN)
        until(lambda: worker.done.failed)
    assert words in caplog.text
    assert len(web.asked) == 1


def test_hosts_are_limited_as_sources_are(caplog: pytest.LogCaptureFixture) -> None:
    hook = Webhook.of("http://user:s3cret@127.0.0.1:9/x", Limits(private_networks=False))
    with Worker(hook) as worker:
        worker.tell(BEGUN)
        until(lambda: worker.done.failed)
    assert "in a private network" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_server_that_is_mute_holds_up_the_end_no_longer_than_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        hook = Webhook.of(f"http://127.0.0.1:{mute.getsockname()[1]}/")
        worker = Worker(hook)
        began = time.monotonic()
        with worker:
            worker.tell(BEGUN)
            worker.close(0.5)
        assert time.monotonic() - began < 2.0
    assert "not told in time" in caplog.text


@pytest.mark.parametrize(
    ("address", "header", "words"),
    [
        ("ftp://host/", "", "want an address that begins with http"),
        ("http://", "", "is no address"),
        ("host/path", "", "want an address that begins with http"),
        ("localhost:80", "", "want an address that begins with http"),
        ("http://user:s3c/ret@host", "no colon", "is no header"),
        ("http://host", "X: a\r\nY: b", "is no header"),
    ],
)
def test_what_cannot_be_posted_to_is_refused(address: str, header: str, words: str) -> None:
    with pytest.raises(MovinetError, match=words) as told:
        Webhook.of(address, environment={"MOVINET_WEBHOOK_HEADER": header} if header else {})
    assert "s3c" not in str(told.value)
