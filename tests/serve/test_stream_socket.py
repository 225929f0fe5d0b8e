"""Pictures over a WebSocket: each has one answer, which is what the network alone says of it."""

import json
import math
import struct
import threading
from dataclasses import replace
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import pytest
from serve.serving import SOON, Serving, encoded, picture, serving, until
from tiny import tiny_weights
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from movinet.serve.pools import Pools, open_pools
from movinet.serve.settings import Settings
from movinet.video.sample import sample_clip
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.safetensors_file import read_weights, save_weights

ANSWERS = {"prediction", "skipped", "dropped", "refused"}


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def show(socket: ClientConnection, time: float, data: bytes) -> None:
    socket.send(struct.pack("<d", time) + data)


def hear(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(socket.recv(SOON)))


def answer(socket: ClientConnection) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The next answer to a picture, and the events before it."""
    events = []
    while (message := hear(socket))["type"] not in ANSWERS:
        assert message["type"] in ("begun", "ended"), message
        events.append(message)
    return message, events


def open_stream(socket: ClientConnection, form: str = "rgb", **more: Any) -> dict[str, Any]:
    say(socket, type="open", size=[32, 24], format=form, **more)
    opened = hear(socket)
    assert opened["type"] == "opened", opened
    return opened


def end_of(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """What is told until the connection is closed, and its code."""
    told = []
    try:
        while True:
            told.append(hear(socket))
    except ConnectionClosed as closed:
        return told, 1006 if closed.rcvd is None else closed.rcvd.code


def test_raw_pictures_have_the_answers_of_a_stream_alone(server: Serving, pools: Pools) -> None:
    pictures = [picture(n) for n in range(6)]
    with server.stream() as socket:
        opened = open_stream(socket, memory=2, name="hall")
        assert opened["labels"] == ["left", "right", "other"]
        assert (opened["fps"], opened["size"], opened["memory"]) == (5.0, [32, 24], 2)
        told = []
        for n, rgb in enumerate(pictures):
            show(socket, 10 + n / 5, rgb.tobytes())
            told.append(answer(socket)[0])
    with pools.of(None).join(memory=2.0) as alone:
        for n, (rgb, line) in enumerate(zip(pictures, told, strict=True)):
            expected = alone.push(rgb, 10 + n / 5)
            assert expected is not None
            assert line["type"] == "prediction"
            assert (line["source"], line["time"], line["frames"]) == ("hall", 10 + n / 5, n + 1)
            assert [one["label"] for one in line["top"]] == [label for label, _ in expected.top(5)]
            assert [one["probability"] for one in line["top"]] == pytest.approx(
                [p for _, p in expected.top(5)], abs=2e-5
            )


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_encoded_pictures_are_decoded_as_anywhere(form: str, server: Serving, pools: Pools) -> None:
    pictures = [encoded(picture(n), form) for n in range(4)]
    with server.stream() as socket:
        open_stream(socket, form)
        told = []
        for n, data in enumerate(pictures):
            show(socket, n / 5, data)
            told.append(answer(socket)[0])
    with pools.of(None).join(memory=4.0) as alone:  # of clips of 20 frames at 5 a second
        for n, line in enumerate(told):
            expected = alone.push(picture(n), n / 5)
            assert expected is not None
            assert {one["label"]: one["probability"] for one in line["top"]} == pytest.approx(
                dict(expected.top(5)), abs=0.1
            )


def test_a_memory_of_zero_never_forgets_whatever_the_network_was_trained_with(tmp_path: Path) -> None:
    """The bundled network forgets in two seconds by itself."""
    settings = Settings(models=("movinet_t0_stream.gestures",), max_streams=4)
    pictures = [picture(n // 20, (80, 64)) for n in range(40)]
    with open_pools(settings) as pools, serving(pools, tmp_path) as server, server.stream() as socket:
        say(socket, type="open", size=[80, 64], format="rgb", memory=0, topk=11)
        assert hear(socket)["memory"] == 0
        for n, rgb in enumerate(pictures):
            show(socket, n / 5, rgb.tobytes())
            line = answer(socket)[0]
        with pools.of(None).join(memory=math.inf) as never, pools.of(None).join(memory=2.0) as forgets:
            for n, rgb in enumerate(pictures):
                expected, other = never.push(rgb, n / 5), forgets.push(rgb, n / 5)
        assert expected is not None
        assert other is not None
        said = {one["label"]: one["probability"] for one in line["top"]}
        assert said == pytest.approx(dict(expected.top(11)), abs=2e-5)
        assert said != pytest.approx(dict(other.top(11)), abs=2e-5)
        say(socket, type="change", memory=2.0)
        assert hear(socket)["memory"] == 2.0
        say(socket, type="change", memory=0)
        assert hear(socket)["memory"] == 0


def test_a_memory_that_never_forgets_is_0_for_models_sources_and_streams(tmp_path: Path) -> None:
    arrays, info = read_weights(tiny_weights(tmp_path))
    point = OperatingPoint(0.5, 0.3, memory=None, fps=5.0, size=(24, 32))
    save_weights(tmp_path / "never.safetensors", arrays, replace(info, operating_point=point))
    (tmp_path / "film.mp4").write_bytes(sample_clip().read_bytes())
    with (
        open_pools(Settings(models=(str(tmp_path / "never.safetensors"),), max_streams=4)) as pools,
        serving(pools, tmp_path / "state", files=str(tmp_path)) as server,
        server.stream() as socket,
    ):
        (model,) = server.ask("GET", "/api/models").json["models"]
        told = [model["memory"], open_stream(socket)["memory"]]
        for name, more in (("usual", {}), ("said", {"memory": 0})):
            entry = {"name": name, "address": "film.mp4", **more}
            told.append(server.ask("POST", "/api/sources", entry).json["memory"])
    assert told == [0, 0, 0, 0]


def test_too_soon_is_skipped_and_a_gap_begins_anew(server: Serving) -> None:
    data = picture().tobytes()
    with server.stream() as socket:
        open_stream(socket)
        kinds = []
        for time in (0.0, 0.05, 0.2, 0.21, 0.4, 60.0):
            show(socket, time, data)
            line = answer(socket)[0]
            assert line["time"] == time
            kinds.append((line["type"], line.get("frames")))
    assert kinds[0] == ("prediction", 1)
    assert kinds[1][0] == "skipped"
    assert kinds[3][0] == "skipped"
    assert kinds[5] == ("prediction", 1)


def test_every_picture_of_a_flood_has_one_answer_and_the_newest_wins(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is being looked at, one waits: of forty sent meanwhile thirty-eight are dropped."""
    begun, go_on = threading.Event(), threading.Event()
    look = pools_look()

    def slow(*given: Any) -> None:
        begun.set()
        assert go_on.wait(SOON)
        look(*given)

    monkeypatch.setattr("movinet.serve.picture_stream.PictureStream.look", slow)
    data = picture().tobytes()
    with server.stream() as socket:
        open_stream(socket)
        show(socket, 0.0, data)
        assert begun.wait(SOON)
        for n in range(1, 41):
            show(socket, n / 5, data)
        dropped = [answer(socket)[0] for _ in range(39)]
        go_on.set()
        rest = [answer(socket)[0] for _ in range(2)]
    assert [line["type"] for line in dropped] == ["dropped"] * 39
    assert [line["time"] for line in dropped] == [n / 5 for n in range(1, 40)]
    assert [line["dropped"] for line in dropped] == list(range(1, 40))
    assert [(line["type"], line["time"]) for line in rest] == [("prediction", 0.0), ("prediction", 8.0)]


def pools_look() -> Any:
    from movinet.serve.picture_stream import PictureStream

    return PictureStream.look


@pytest.mark.parametrize(
    ("form", "data", "words"),
    [
        ("rgb", b"\0" * 10, "10 bytes, not the 2304"),
        ("jpeg", encoded(picture(), "webp"), "no jpeg"),
        ("jpeg", encoded(picture(size=(64, 48))), "64x48, not 32x24"),
        ("jpeg", encoded(picture())[:60], "does not say its size"),
        ("webp", encoded(picture(), "jpeg"), "no webp"),
        ("webp", b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 30, "1x1, not 32x24"),
    ],
)
def test_what_is_no_such_picture_is_refused_and_the_stream_goes_on(
    form: str, data: bytes, words: str, server: Serving
) -> None:
    good = picture().tobytes() if form == "rgb" else encoded(picture(), form)
    with server.stream() as socket:
        open_stream(socket, form)
        show(socket, 0.0, data)
        line = answer(socket)[0]
        assert line["type"] == "refused"
        assert words in line["message"]
        show(socket, 0.2, good)
        assert answer(socket)[0]["frames"] == 1


def test_events_come_before_the_prediction_they_came_with_and_all_end(server: Serving) -> None:
    """With thresholds that any answer passes, the likeliest label begins with the first picture."""
    with server.stream() as socket:
        open_stream(socket, thresholds={"on": 0.34, "off": 0.01})
        show(socket, 1.0, picture().tobytes())
        line, events = answer(socket)
        assert [event["type"] for event in events] == ["begun"]
        assert events[0]["label"] == line["top"][0]["label"]
        assert [event["label"] for event in line["running"]] == [events[0]["label"]]
        say(socket, type="close")
        told, code = end_of(socket)
    assert [message["type"] for message in told] == ["ended", "over"]
    assert told[0]["label"] == events[0]["label"]
    assert (told[1]["error"], code) == (None, 1000)


def test_a_stream_changes_and_begins_anew(server: Serving) -> None:
    with server.stream() as socket:
        open_stream(socket, topk=2, thresholds={"on": 0.34, "off": 0.01})
        show(socket, 0.0, picture().tobytes())
        assert len(answer(socket)[0]["top"]) == 2
        say(socket, type="change", topk=1, memory=0, format="jpeg", size=[64, 48], thresholds={"on": 0.99})
        assert hear(socket)["type"] == "ended", "by the rules it began with"
        changed = hear(socket)
        assert (changed["type"], changed["memory"], changed["topk"]) == ("changed", 0, 1)
        assert changed["thresholds"]["on"] == 0.99
        show(socket, 0.2, encoded(picture(size=(64, 48))))
        line = answer(socket)[0]
        assert (len(line["top"]), line["frames"]) == (1, 2)
        say(socket, type="change", thresholds={"on": 0.1, "off": 0.5})
        assert hear(socket)["type"] == "error"
        say(socket, type="reset")
        assert hear(socket)["type"] == "reset"
        show(socket, 0.4, encoded(picture(size=(64, 48))))
        assert answer(socket)[0]["frames"] == 1


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("hello", "not JSON"),
        ("[1]", "an object with a type"),
        ('{"type": "reset"}', "the first message opens"),
        ('{"type": "shutdown"}', "no message of type"),
        ('{"type": "open", "size": [32, 24]}', "format"),
        ('{"type": "open", "size": [32, 24], "format": "gif"}', "choose jpeg, webp or rgb"),
        ('{"type": "open", "size": [0, 24], "format": "rgb"}', "at least 1"),
        ('{"type": "open", "size": [100000, 100000], "format": "jpeg"}', "at most 640 pixels"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "model": "other"}', "no model 'other'"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "memory": -1}', "memory"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "ffmpeg": "-i /etc/passwd"}', "ffmpeg"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "thresholds": {"on": 2}}', "thresholds"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "thresholds": {"ignore": ["elsewhere"]}}', "no label"),
        ('{"type": "open", "size": [32, 24], "format": "rgb", "name": "a\\u001b[2J"}', "name"),
        ('{"type": "open", "type": "open"}', "said twice"),
        ("[" * 5000, "not JSON"),
        ("x" * 20000, "more than 16384 bytes"),
        (b"\0" * 8, "time in 8 bytes"),
        (struct.pack("<d", float("nan")) + b"x", "seconds from 0"),
    ],
)
def test_what_makes_no_sense_ends_that_stream_with_words(first: str | bytes, words: str, server: Serving) -> None:
    with server.stream() as socket:
        socket.send(first)
        told, code = end_of(socket)
    assert [message["type"] for message in told] == ["error"]
    assert words in told[0]["message"]
    assert code == 1003


def test_who_finds_no_place_is_told_so_and_finds_one_when_another_leaves(server: Serving, pools: Pools) -> None:
    pool = pools.of(None)
    until(lambda: pool.statistics().streams == 0)
    others = [pool.join() for _ in range(pools.max_streams)]
    try:
        with server.stream() as socket:
            say(socket, type="open", size=[32, 24], format="rgb")
            told, code = end_of(socket)
        assert ([message["type"] for message in told], code) == (["error"], 1013)
        assert server.ask("GET", "/readyz").status == 503
        others.pop().leave()
        assert server.ask("GET", "/readyz").status == 200
        with server.stream() as socket:
            open_stream(socket)
    finally:
        for other in others:
            other.leave()


def test_a_client_that_vanishes_gives_its_place_back(server: Serving, pools: Pools) -> None:
    for _ in range(3):
        with server.stream() as socket:
            open_stream(socket)
            show(socket, 0.0, picture().tobytes())
            socket.socket.shutdown(SHUT_RDWR)  # no farewell
    until(lambda: pools.of(None).statistics().streams == 0)
    until(lambda: not server.services.sockets)


def test_when_the_server_stops_running_events_are_told_as_ended(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path) as server, server.stream() as socket:
        open_stream(socket, thresholds={"on": 0.34, "off": 0.01})
        show(socket, 1.0, picture().tobytes())
        assert answer(socket)[0]["type"] == "prediction"
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        told, code = end_of(socket)
        stopping.join(SOON)
    assert [message["type"] for message in told] == ["ended", "over"]
    assert told[1]["error"] == "the server stops"
    assert code == 1001


def test_a_stream_that_says_nothing_is_ended(pools: Pools, tmp_path: Path) -> None:
    from movinet.serve.settings import Bounds

    with serving(pools, tmp_path, bounds=Bounds(idle=0.3, open_within=0.3)) as server:
        with server.stream() as socket:
            told, code = end_of(socket)
            assert (told, code) == ([], 1008)
        with server.stream() as socket:
            open_stream(socket)
            told, code = end_of(socket)
            assert [message["type"] for message in told] == ["over"]
            assert code == 1008


def test_a_broken_engine_is_told_and_the_stream_goes_on(
    server: Serving, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, step = pools.of(None).engine, pools.of(None).engine.step
    broken = [True]

    def sometimes(*given: Any, **more: Any) -> Any:
        if broken.pop() if broken else False:
            raise RuntimeError("out of order")
        return step(*given, **more)

    monkeypatch.setattr(engine, "step", sometimes)
    with server.stream() as socket:
        open_stream(socket)
        show(socket, 0.0, picture().tobytes())
        line = answer(socket)[0]
        assert line["type"] == "refused"
        assert "the engine failed" in line["message"]
        show(socket, 0.2, picture().tobytes())
        assert answer(socket)[0]["frames"] == 1
