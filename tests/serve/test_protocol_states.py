"""Whatever clients say, in whichever order: every picture has one answer, and others do not notice."""

import json
import struct
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from serve.serving import SOON, Serving, encoded, picture, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

JPEG, RGB = encoded(picture()), picture().tobytes()
PICTURES = {"jpeg": JPEG, "webp": encoded(picture(), "webp"), "rgb": RGB}
ODD_TEXTS = st.one_of(
    st.text(max_size=50),
    st.sampled_from(["null", "{}", '{"type":"open"}', '{"type":1}', '{"type":"close","x":1}', "[" * 200]),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)).map(
        json.dumps
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["open", "change", "reset", "close"])},
        optional={
            "size": st.lists(st.integers(-2, 10**6), max_size=3),
            "format": st.sampled_from(["jpeg", "rgb", "exe", 1]),
            "memory": st.floats(),
            "thresholds": st.dictionaries(
                st.sampled_from(["on", "off", "by_label", "x"]), st.floats() | st.text(max_size=3)
            ),
            "topk": st.integers(-1, 100),
            "name": st.text(max_size=70),
        },
    ).map(json.dumps),
)


class Conversation(RuleBasedStateMachine):
    """One client that knows the protocol and what it may expect, and now and then does not keep to it."""

    server: Serving

    def __init__(self) -> None:
        super().__init__()
        self.kept = ExitStack()
        self.good = self.kept.enter_context(self.server.stream())
        self.good.send(json.dumps({"type": "open", "size": [32, 24], "format": "rgb"}))
        assert self.hear(self.good)["type"] == "opened"
        self.good_time = 0.0
        self.socket: ClientConnection | None = None
        self.format: str | None = None
        self.time = 0.0

    def hear(self, socket: ClientConnection) -> dict[str, Any]:
        return dict(json.loads(socket.recv(SOON)))

    def hear_past_events(self) -> dict[str, Any]:
        assert self.socket is not None
        while (message := self.hear(self.socket))["type"] in ("begun", "ended"):
            assert message["label"] in ("left", "right", "other")
        return message

    def forget(self) -> None:
        self.socket = self.format = None

    @precondition(lambda self: self.socket is None)
    @rule()
    def connect(self) -> None:
        self.socket = self.kept.enter_context(self.server.stream(close_timeout=0.1))

    @precondition(lambda self: self.socket is not None and self.format is None)
    @rule(form=st.sampled_from(sorted(PICTURES)), on=st.sampled_from([None, 0.34, 0.9]))
    def open(self, form: str, on: float | None) -> None:
        assert self.socket is not None
        thresholds = {} if on is None else {"thresholds": {"on": on}}
        self.socket.send(json.dumps({"type": "open", "size": [32, 24], "format": form, **thresholds}))
        assert self.hear(self.socket)["type"] == "opened"
        self.format = form

    @precondition(lambda self: self.format is not None)
    @rule(after=st.sampled_from([0.2, 0.01, 5.0]), count=st.integers(1, 6))
    def show(self, after: float, count: int) -> None:
        assert self.socket is not None
        assert self.format is not None
        times = []
        for _ in range(count):
            self.time += after
            times.append(self.time)
            self.socket.send(struct.pack("<d", self.time) + PICTURES[self.format])
        answers = [self.hear_past_events() for _ in times]
        assert sorted(line["time"] for line in answers) == pytest.approx(times, abs=1e-3)
        assert {line["type"] for line in answers} <= {"prediction", "skipped", "dropped"}
        assert answers[-1]["time"] == pytest.approx(times[-1], abs=1e-3), "the newest is looked at, and last"

    @precondition(lambda self: self.format is not None)
    @rule(data=st.binary(min_size=1, max_size=400))
    def show_garbage(self, data: bytes) -> None:
        assert self.socket is not None
        self.time += 0.2
        self.socket.send(struct.pack("<d", self.time) + data)
        assert self.hear_past_events()["type"] in ("refused", "skipped")

    @precondition(lambda self: self.format is not None)
    @rule(
        form=st.sampled_from(sorted(PICTURES)), memory=st.sampled_from([None, 0, 3.0]), on=st.sampled_from([0.34, 2.0])
    )
    def change(self, form: str, memory: float | None, on: float) -> None:
        assert self.socket is not None
        said = {"type": "change", "format": form, "thresholds": {"on": on}}
        self.socket.send(json.dumps(said if memory is None else {**said, "memory": memory}))
        if on > 1:
            assert self.hear_past_events()["type"] == "error"
        else:
            assert self.hear_past_events()["type"] == "changed"
            self.format = form

    @precondition(lambda self: self.format is not None)
    @rule()
    def reset(self) -> None:
        assert self.socket is not None
        self.socket.send('{"type": "reset"}')
        assert self.hear_past_events()["type"] == "reset"

    @precondition(lambda self: self.format is not None)
    @rule()
    def close(self) -> None:
        assert self.socket is not None
        self.socket.send('{"type": "close"}')
        assert self.hear_past_events() == {"type": "over", "error": None}
        with pytest.raises(ConnectionClosed):
            self.socket.recv(SOON)
        self.forget()

    @precondition(lambda self: self.socket is not None)
    @rule()
    def vanish(self) -> None:
        assert self.socket is not None
        self.socket.socket.close()
        self.forget()

    @precondition(lambda self: self.socket is not None)
    @rule(data=ODD_TEXTS | st.binary(max_size=9))
    def talk_nonsense(self, data: str | bytes) -> None:
        """It is answered with an error, or it happens to make sense; in the end the connection is closed."""
        assert self.socket is not None
        try:
            self.socket.send(data)
            self.socket.send('{"type": "nonsense"}')
            while True:
                message = self.hear(self.socket)
                assert message["type"] in (
                    "error",
                    "opened",
                    "changed",
                    "reset",
                    "over",
                    "refused",
                    "skipped",
                    "begun",
                    "ended",
                )
        except ConnectionClosed:
            pass
        self.forget()

    @precondition(lambda self: self.socket is not None)
    @rule(data=st.binary(min_size=1, max_size=60))
    def send_raw_bytes(self, data: bytes) -> None:
        """No frames of WebSockets at all, or broken ones."""
        assert self.socket is not None
        with suppress(OSError):
            self.socket.socket.sendall(data)
        self.socket.socket.close()
        self.forget()

    @invariant()
    def others_do_not_notice(self) -> None:
        self.good_time += 0.2
        self.good.send(struct.pack("<d", self.good_time) + RGB)
        while (line := self.hear(self.good))["type"] in ("begun", "ended"):
            pass
        assert line["type"] == "prediction"
        assert line["time"] == pytest.approx(self.good_time, abs=1e-3)

    def teardown(self) -> None:
        self.kept.close()
        until(lambda: not self.server.services.sockets)
        assert self.server.services.pools.of(None).statistics().streams == 0


@pytest.mark.parametrize("examples", [pytest.param(4, id="few"), pytest.param(300, id="many", marks=pytest.mark.slow)])
def test_conversations(examples: int, server: Serving) -> None:
    class Here(Conversation):
        pass

    Here.server = server
    checked = settings(
        max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Here, settings=checked)  # type: ignore[no-untyped-call]
