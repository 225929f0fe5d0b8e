"""Sources over REST, news of them, figures: as a person's program uses them."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from loopback import Answer as Page
from loopback import site
from serve.serving import VIEWER, Serving, encoded, picture, serving, until

from movinet.live.cameras import read_cameras
from movinet.serve.pools import Pools
from movinet.video.encode import encode_video
from movinet.video.sample import sample_clip

SECRET = "S3cr@t/Pw"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder with a film."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "star.mp4").write_bytes(sample_clip().read_bytes())
    return tmp_path / "films"


@pytest.fixture
def filmed(pools: Pools, tmp_path: Path, films: Path) -> Iterator[Serving]:
    """A server that may play it."""
    with serving(pools, tmp_path / "state", files=str(films)) as server:
        yield server


def source(server: Serving, name: str = "film") -> Any:
    return server.ask("GET", f"/api/sources/{name}").json


def test_a_film_is_added_seen_changed_and_removed(filmed: Serving) -> None:
    added = filmed.ask("POST", "/api/sources", {"name": "film", "address": "star.mp4", "loop": True, "memory": 2})
    assert added.status == 201
    assert (added.json["name"], added.json["address"], added.json["memory"]) == ("film", "star.mp4", 2)
    seen = until(lambda: (found := source(filmed))["state"] == "running" and found["top"] and found)
    assert {one["label"] for one in seen["top"]} == {"left", "right", "other"}
    assert seen["figures"]["frames"] >= 1
    tile = filmed.ask("GET", "/api/sources/film/picture.jpg")
    assert (tile.status, tile.headers["content-type"]) == (200, "image/jpeg")
    shown = av.CodecContext.create("mjpeg", "r").decode(av.Packet(tile.body))[0]
    with av.open(str(sample_clip())) as film:
        assert (shown.width, shown.height) == (film.streams.video[0].width, film.streams.video[0].height)
    again = filmed.ask("POST", "/api/sources", {"name": "film", "address": "star.mp4"})
    assert again.status == 409
    changed = filmed.ask(
        "PUT",
        "/api/sources/film",
        {"address": "star.mp4", "memory": 1, "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}},
    )
    assert (changed.status, changed.json["memory"]) == (200, 1)
    until(lambda: source(filmed)["state"] == "running")
    assert filmed.ask("PUT", "/api/sources/film", {"address": "../star.mp4"}).status == 400
    assert source(filmed)["memory"] == 1, "what is refused changes nothing"
    assert filmed.ask("DELETE", "/api/sources/film").status == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/picture.jpg")):
        assert filmed.ask(method, f"/api/sources/film{path}").status == 404
    assert filmed.ask("PUT", "/api/sources/film", {"address": "star.mp4"}).status == 404


def test_a_camera_of_the_servers_machine_only_where_it_is_allowed(pools: Pools, tmp_path: Path) -> None:
    entry = {"name": "desk", "address": "77"}
    with serving(pools, tmp_path / "state") as server:
        refused = server.ask("POST", "/api/sources", entry)
        assert refused.status == 400
        assert "--camera 77" in refused.json["error"]
    with serving(pools, tmp_path / "other", cameras=(77, 78)) as server:
        assert server.ask("GET", "/api/files").json == {"files": [], "cameras": ["77", "78"]}
        assert server.ask("POST", "/api/sources", entry).status == 201
        # There is no such camera on any machine that runs tests.
        until(lambda: "camera 77" in (source(server, "desk")["why"] or ""))
        numbered = server.ask("POST", "/api/sources", {"name": "door", "address": 78})
        assert (numbered.status, numbered.json["address"]) == (201, "78")
        for address, why in (("/dev/video79", "not allowed"), ("79", "not allowed"), ("/dev/video", "files")):
            refused = server.ask("POST", "/api/sources", {"name": "x", "address": address})
            assert refused.status == 400
            assert why in refused.json["error"]
        assert server.ask("POST", "/api/sources", {"name": "x", "address": "77", "stream": 1}).status == 400


def test_a_source_spares_the_network_while_nothing_moves(pools: Pools, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    encode_video(tmp_path / "films" / "still.mp4", np.full((80, 32, 48, 3), 90, np.uint8), 10)
    with serving(pools, tmp_path / "state", files=str(tmp_path / "films")) as server:
        entry = {"name": "hall", "address": "still.mp4", "motion_gate": True, "memory": 0.5}  # held for a second
        assert server.ask("POST", "/api/sources", entry).status == 201
        until(lambda: (found := source(server, "hall"))["figures"] and found["figures"]["still"] > 0)
        assert re.search(
            r'movinet_source_still_total\{source="hall"\} [1-9]', server.ask("GET", "/metrics").body.decode()
        )


def test_sources_are_there_after_a_restart_and_watch_reads_their_file(
    pools: Pools, tmp_path: Path, films: Path
) -> None:
    state = tmp_path / "state"
    with serving(pools, state, files=str(films)) as server:
        for name in ("one", "two"):
            entry = {"name": name, "address": "star.mp4", "loop": True, "on": 0.9, "ignore": ["other"]}
            assert server.ask("POST", "/api/sources", entry).status == 201
        server.ask("DELETE", "/api/sources/one")
    kept = state / "sources.yaml"
    assert kept.stat().st_mode & 0o077 == 0
    (camera,) = read_cameras(kept)
    assert (camera.name, camera.address, camera.on, camera.ignore) == ("two", "star.mp4", 0.9, ("other",))
    with serving(pools, state, files=str(films)) as server:
        assert [one["name"] for one in server.ask("GET", "/api/sources").json["sources"]] == ["two"]
        until(lambda: source(server, "two")["state"] == "running")
    with serving(pools, state) as server:  # which allows no files any more
        assert server.ask("GET", "/api/sources").json == {"sources": []}
    assert len(read_cameras(kept)) == 1, "what is left out is not forgotten"


def test_passwords_are_shown_nowhere(pools: Pools, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a camera that wants one, has the right one, and is lost."""
    frames = [encoded(picture(n, (64, 48))) for n in range(3)]
    asked: list[str] = []

    def page(request: Any) -> Page:
        if "Authorization" not in request.headers:
            return Page(b"who?", 401, {"WWW-Authenticate": "Basic realm=cam"})
        asked.append(request.headers["Authorization"])
        return Page(frames[len(asked) % 3], headers={"Content-Type": "image/jpeg"})

    entry = {"name": "cam", "user": "admin", "password": SECRET, "timeout": 2}
    with site(page) as camera, serving(pools, tmp_path, source_hosts=("127.0.0.1",)) as server:
        told: list[bytes] = []
        with closing(server.raw()) as listening:
            listening.sendall(b"GET /api/events?types=prediction,lost,found,over HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answers = [server.ask("POST", "/api/sources", {**entry, "address": camera.url("/snap?pwd=hidden")})]
            until(lambda: source(server, "cam")["state"] == "running")
            answers.append(server.ask("PUT", "/api/sources/cam", {"address": "http://127.0.0.1:9/x", "memory": 1}))
            until(lambda: source(server, "cam")["state"] == "lost")
            address = f"http://admin:hidden@127.0.0.1:{camera.port}/snap"
            answers.append(server.ask("POST", "/api/sources", {"name": "other", "address": address}))
            answers.append(
                server.ask("POST", "/api/sources", {"name": "x", "address": "http://admin:hidden@elsewhere/"})
            )
            answers.append(
                server.ask("POST", "/api/sources", {**entry, "password": [SECRET], "address": "http://127.0.0.1/"})
            )
            answers += [server.ask("GET", path) for path in ("/api/sources", "/api/sources/cam", "/metrics")]
            told.append(listening.recv(1 << 20))
    text = b"".join([*told, *(answer.body for answer in answers)]).decode() + caplog.text
    assert asked, "the camera was let in"
    assert '"lost"' in text or "running" in text
    for word in ("S3cr", "hidden", "t/Pw"):
        assert word not in text
    assert SECRET in (tmp_path / "sources.yaml").read_text() or "hidden" in (tmp_path / "sources.yaml").read_text()


def test_a_password_that_is_left_out_stays_only_at_its_address(pools: Pools, tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    def page(request: Any) -> Page:
        asked.append((request.path, request.headers.get("Authorization")))
        if "Authorization" not in request.headers:
            return Page(b"who?", 401, {"WWW-Authenticate": "Basic realm=cam"})
        return Page(b"gone", 404)

    with site(page) as camera, serving(pools, tmp_path, source_hosts=("127.0.0.1",)) as server:
        entry = {"name": "cam", "address": camera.url("/a"), "user": "admin", "password": SECRET}
        assert server.ask("POST", "/api/sources", entry).status == 201
        until(lambda: any(login for _, login in asked))
        asked.clear()
        assert server.ask("PUT", "/api/sources/cam", {"address": camera.url("/a"), "memory": 1}).status == 200
        until(lambda: ("/a", True) in [(path, login is not None) for path, login in asked])
        asked.clear()
        assert server.ask("PUT", "/api/sources/cam", {"address": camera.url("/b")}).status == 200
        until(lambda: asked)
        assert server.ask("DELETE", "/api/sources/cam").status == 204
        assert all(login is None for path, login in asked if path == "/b")


def test_events_are_told_to_whoever_listens(filmed: Serving) -> None:
    heard: list[dict[str, Any]] = []
    connected = threading.Event()

    def listen(query: str) -> None:
        with closing(filmed.raw()) as raw, raw.makefile("rb") as lines:
            raw.sendall(f"GET /api/events{query} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
            for line in lines:
                if line.startswith(b"retry"):
                    connected.set()
                if line.startswith(b"data: "):
                    heard.append(json.loads(line[6:]))

    listening = threading.Thread(target=listen, args=("?types=begun,ended,prediction,over",), daemon=True)
    listening.start()
    assert connected.wait(20)
    filmed.ask("POST", "/api/sources", {"name": "film", "address": "star.mp4", "on": 0.34, "off": 0.01})
    until(lambda: any(line["type"] == "over" for line in heard))
    kinds = [line["type"] for line in heard]
    assert kinds[-1] == "over"
    assert kinds.count("begun") == kinds.count("ended") >= 1
    assert kinds.count("prediction") >= 2
    assert {line["source"] for line in heard} == {"film"}
    assert source(filmed)["state"] == "ended"
    assert filmed.ask("GET", "/api/events?types=passwords").status == 400
    filmed.stop()
    listening.join(20)
    assert not listening.is_alive(), "who listens hears the end"


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')


def test_figures_are_as_prometheus_reads_them(filmed: Serving) -> None:
    name = 'a "quoted" \\ name'
    filmed.ask("POST", "/api/sources", {"name": name, "address": "star.mp4", "loop": True})
    until(lambda: filmed.ask("GET", "/api/sources").json["sources"][0]["state"] == "running")
    answer = filmed.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    kinds, seen = {}, {}
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, metric, kind = line.split()
            assert metric not in kinds, "one group a metric"
            kinds[metric] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] in kinds, "its kind comes first"
            seen[found[1], found[2]] = float(found[3])
    assert all(
        metric.endswith("_total") or "_seconds_" in metric for metric, kind in kinds.items() if kind == "counter"
    )
    assert seen["movinet_source_frames_total", r'source="a \"quoted\" \\ name"'] >= 1
    assert seen["movinet_sources", 'state="running"'] == 1
    assert any(metric == "movinet_pool_state_bytes" and value > 0 for (metric, _), value in seen.items())


def test_the_page_and_its_sample_are_served(server: Serving) -> None:
    page = server.ask("GET", "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for path in re.findall(r'(?:src|href)="([^":]+)"', page.body.decode()):
        assert server.ask("GET", f"/{path.removeprefix('./')}").status == 200, path
    again = server.ask("GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    described = server.ask("GET", "/page.json").json
    assert server.ask("GET", f"/{described['sample']}").body == sample_clip().read_bytes()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/login", {"POST"}),
        ("HEAD", "/api/logout", {"POST"}),
        ("OPTIONS", "/api/login", {"POST"}),
        ("PATCH", "/api/sources", {"GET", "HEAD", "POST"}),
    ],
)
def test_other_methods_are_told_which_there_are(server: Serving, method: str, path: str, allowed: set[str]) -> None:
    answer = server.ask(method, path)
    assert answer.status == 405
    assert {*answer.headers["allow"].split(", ")} == allowed


def test_requests_are_described(server: Serving, locked: Serving) -> None:
    described = server.ask("GET", "/api/openapi.json").json
    assert described["openapi"].startswith("3.1")
    assert described["security"] == [], "this one asks for no token"
    assert locked.ask("GET", "/api/openapi.json", headers=VIEWER).json["security"]
    assert described["paths"]["/readyz"]["get"]["responses"]["503"]["content"].keys() == {"text/plain"}
    crop = described["components"]["schemas"]["SourceEntry"]["properties"]["crop"]["properties"]
    assert (crop["x"]["minimum"], crop["width"]["exclusiveMinimum"]) == (0, 0), "a crop without pixels is refused"
    reading = server.ask("GET", "/api/docs").body.decode()
    assert all(path in reading for path in described["paths"])
    assert "http" not in re.sub(r"http-equiv", "", reading).lower().replace("https", "http").split("<table")[1]
