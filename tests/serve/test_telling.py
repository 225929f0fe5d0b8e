"""Webhooks that are signed, and a broker: each held against a receiver of the test's own."""

import hashlib
import hmac
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer, site
from reports import ONE_OF_EACH, report
from serve.serving import SOON, until

from movinet.errors import MovinetError
from movinet.live.report import Report
from movinet.live.webhook import sign
from movinet.serve.mqtt import slug_of
from movinet.serve.settings import Broker, Hook, Settings
from movinet.serve.telling import open_telling

BEGUN, ENDED, SEEN = (report(ONE_OF_EACH[kind]) for kind in ("begun", "ended", "prediction"))


def test_posts_are_signed_by_a_secret_that_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    with site(lambda request: Answer()) as receiver:
        hooks = (Hook(receiver.url("/signed"), secret_file=str(tmp_path / "secret")), Hook(receiver.url("/plain")))
        with open_telling(Settings(webhooks=hooks), "1") as told:
            for news in (SEEN, BEGUN, ENDED):
                told.report(news)
            until(lambda: len(receiver.asked) == 4)
            assert told.dropped() == 0
    signed = [request for request in receiver.asked if request.path == "/signed"]
    assert [json.loads(request.body)["type"] for request in signed] == ["begun", "ended"]
    for request in signed:
        when, _, code = request.headers["X-Movinet-Signature"].partition(",")
        body = when.removeprefix("t=").encode() + b"." + request.body
        assert hmac.compare_digest(code, "v1=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest())
        assert b"s3cret" not in request.body
    assert len({request.headers["X-Movinet-Delivery"] for request in signed}) == 2
    assert all("X-Movinet-Signature" not in one.headers for one in receiver.asked if one.path == "/plain")


def test_a_signature_holds_for_one_body_at_one_time() -> None:
    ways = {sign(b"a", b"k", 1), sign(b"b", b"k", 1), sign(b"a", b"l", 1), sign(b"a", b"k", 2)}
    assert len(ways) == 4
    assert all(f"t={when}," in "".join(ways) for when in (1, 2))


def test_secrets_that_are_nowhere_are_told() -> None:
    with (
        pytest.raises(MovinetError, match="no NOWHERE"),
        open_telling(Settings(webhooks=(Hook("http://127.0.0.1/", secret_env="NOWHERE"),)), "1", {}),
    ):
        pass
    with pytest.raises(MovinetError, match="http"), open_telling(Settings(webhooks=(Hook("ftp://x/"),)), "1"):
        pass
    assert "s3cret" not in repr(Settings(webhooks=(Hook("http://me:s3cret@127.0.0.1/"),)))


@dataclass
class Heard:
    """What a broker was told."""

    port: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    published: list[tuple[str, bytes, bool]] = field(default_factory=list)
    will: tuple[str, bytes] | None = None
    clients: list[socket.socket] = field(default_factory=list)

    def kept(self) -> dict[str, Any]:
        """What the broker would tell whoever subscribes."""
        kept = {topic: payload for topic, payload, retain in list(self.published) if retain}
        return {topic: payload for topic, payload in kept.items() if payload}

    def of(self, topic: str) -> list[Any]:
        return [payload for where, payload, _ in list(self.published) if where == topic]


@contextmanager
def broker() -> Iterator[Heard]:
    """Enough of MQTT 3.1.1 (OASIS, 2014) to be told things."""
    heard = Heard()

    def serve(client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            while first := stream.read(1):
                length = shift = 0
                while True:
                    (byte,) = stream.read(1)
                    length |= (byte & 127) << shift
                    shift += 7
                    if not byte & 128:
                        break
                body = stream.read(length)
                match first[0] >> 4:
                    case 1:
                        connected(body)
                        client.sendall(b"\x20\x02\0\0")
                    case 3:
                        (size,) = struct.unpack_from(">H", body)
                        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                        if first[0] & 6:
                            client.sendall(b"\x40\x02" + rest[:2])
                            rest = rest[2:]
                        heard.published.append((topic, rest, bool(first[0] & 1)))
                    case 12:
                        client.sendall(b"\xd0\0")
                    case 14:
                        return

    def connected(body: bytes) -> None:
        flags, texts, at = body[7], [], 10
        while at < len(body):
            (size,) = struct.unpack_from(">H", body, at)
            texts.append(body[at + 2 : at + 2 + size])
            at += 2 + size
        assert flags & 0x04, "a will says that it is gone"
        heard.will = texts[1].decode(), texts[2]
        if flags & 0x80:
            heard.logins.append((texts[3].decode(), texts[4].decode()))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        heard.port = listening.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                heard.clients.append(client)
                threading.Thread(target=quietly, args=(client,), daemon=True).start()

        def quietly(client: socket.socket) -> None:
            with suppress(OSError):
                serve(client)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield heard
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for client in heard.clients:
                client.close()
            accepting.join(SOON)


def of_hall(kind: str) -> Report:
    return replace(report(ONE_OF_EACH[kind]), source="Hall é")


def test_a_broker_is_told_what_runs_and_home_assistant_what_there_is() -> None:
    pytest.importorskip("paho.mqtt")
    slug = slug_of("Hall é")
    assert slug.startswith("hall_")
    assert slug.isascii()
    with broker() as heard:
        described = Broker("127.0.0.1", heard.port, user="me", password_env="PW")
        with open_telling(Settings(mqtt=described), "1.2", {"PW": "s3cret"}) as told:
            until(lambda: heard.kept().get("movinet/status") == b"online")
            told.changed("Hall é", True)
            for kind in ("prediction", "begun"):
                told.report(of_hall(kind))
            until(lambda: b'"ON"' in heard.kept().get(f"movinet/{slug}/state", b""))
            kept = heard.kept()
            assert kept[f"movinet/{slug}/available"] == b"online"
            described_ones = [json.loads(text) for topic, text in kept.items() if topic.startswith("homeassistant/")]
            assert {one["state_topic"] for one in described_ones} == {f"movinet/{slug}/state"}
            assert {one["device"]["name"] for one in described_ones} == {"Hall é"}
            assert len({one["unique_id"] for one in described_ones}) == 2
            told.report(of_hall("ended"))
            until(lambda: b'"OFF"' in heard.kept()[f"movinet/{slug}/state"])
            told.report(of_hall("lost"))
            until(lambda: heard.kept()[f"movinet/{slug}/available"] == b"offline")
            told.changed("Hall é", False)
            until(lambda: set(heard.kept()) == {"movinet/status"})
        until(lambda: heard.kept()["movinet/status"] == b"offline")
    assert [json.loads(text)["type"] for text in heard.of(f"movinet/{slug}/event")] == ["begun", "ended"]
    assert heard.logins == [("me", "s3cret")]
    assert heard.will == ("movinet/status", b"offline")


def test_a_broker_that_is_away_holds_up_nothing_and_is_told_when_it_is_back() -> None:
    pytest.importorskip("paho.mqtt")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open_telling(Settings(mqtt=Broker("127.0.0.1", port, discovery="")), "1") as told:
        told.changed("Hall é", True)
        for _ in range(1500):
            told.report(BEGUN)
        assert told.dropped() >= 400, "a thousand wait at most"


@pytest.mark.parametrize("given", [{"topic": "a/#"}, {"topic": ""}, {"discovery": "+"}])
def test_topics_are_no_patterns(given: dict[str, str]) -> None:
    with pytest.raises(MovinetError, match=r"topic|discovery"):
        Broker("host", **given)
