"""What strangers try on a server of cameras: paths, files and options that are not theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serve.serving import VIEWER, Serving, add, serving

from movinet.serve.pools import Pools
from movinet.serve.settings import Clips


@pytest.mark.parametrize(
    "address",
    [
        *("../secret.mp4", "videos/../../secret.mp4", "/etc/passwd", "file:///etc/passwd", "link.mp4", ".hidden.mp4"),
        *("concat:ok.mp4|../secret.mp4", "subfile,,start,0,end,9,,:/etc/passwd", "/dev/video0", "0", 0, "", "."),
        *("pipe:0", "data:video/mp4;base64,AAAA", "async:http://127.0.0.1/", "ok.mp4\0", "OK.MP4/../ok.mp4"),
        *("tcp://127.0.0.1:1", "udp://127.0.0.1:1", "rtmp://127.0.0.1/x", "srt://127.0.0.1:1", "ftp://127.0.0.1/"),
        *("gopher://127.0.0.1/", "HTTP://127.0.0.1/", None, [], {"a": 1}, True),
    ],
)
def test_no_path_comes_from_a_client(address: Any, pools: Pools, tmp_path: Path, folder: Serving) -> None:
    assert folder.ask("GET", "/api/files").json == {"files": ["ok.mp4"], "cameras": []}
    assert add(folder, address).status == 400
    assert folder.ask("GET", "/api/sources").json == {"sources": []}


@pytest.fixture(scope="module")
def folder(pools: Pools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with a folder of files, in which not everything is to be had."""
    there = tmp_path_factory.mktemp("there")
    (there / "videos").mkdir()
    (there / "secret.mp4").write_bytes(b"secret")
    for name in ("ok.mp4", ".hidden.mp4"):
        (there / "videos" / name).write_bytes(b"no video")
    (there / "videos" / "link.mp4").symlink_to(there / "secret.mp4")
    with serving(pools, there / "state", files=str(there / "videos")) as server:
        yield server


@pytest.mark.parametrize(
    "entry",
    [
        *({"hardware": "cuda"}, {"on_event": "touch x"}, {"webhook": "http://127.0.0.1/"}, {"labels": "/etc/passwd"}),
        *({"password_file": "/etc/passwd"}, {"password_env": "HOME"}, {"login": "x"}, {"options": {"i": "x"}}),
        *(
            {"transport": "udp"},
            {"transport": "-i"},
            {"timeout": 1e9},
            {"timeout": -1},
            {"name": "a/b"},
            {"name": ".."},
        ),
        *({"name": "a\x1b[2J"}, {"name": "x" * 65}, {"retries": 10**30}, {"crop": {"x": "0"}}, {"stream": -1}),
        *({"ignore": ["left"] * 1001}, {"model": "/etc/passwd"}, {"memory": 1e308}),
    ],
)
def test_no_option_of_others_comes_from_a_client(entry: dict[str, Any], folder: Serving) -> None:
    assert folder.ask("POST", "/api/sources", {"name": "source", "address": "ok.mp4", **entry}).status == 400
    assert folder.ask("GET", "/api/sources").json == {"sources": []}


@pytest.mark.parametrize(
    "path",
    [
        *("/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
        *("/assets/../../run_server.py", "/..\\..\\etc\\passwd", "/%00", "/index.html%00.js", "/./index.html/../x"),
        *("/../run_server.py", "/%252e%252e/run_server.py", "/page/../../serve/guard.py", "/guard.py"),
    ],
)
def test_nothing_but_the_page_is_served(path: str, server: Serving) -> None:
    found = server.ask("GET", path)
    assert found.status in (400, 404)
    assert b"root:" not in found.body
    assert b"import" not in found.body


def test_clips_are_those_that_were_recorded(pools: Pools, tmp_path: Path) -> None:
    """Named by a description beside them, in a folder of the recordings' own."""
    clips = tmp_path / "clips"
    (clips / "door").mkdir(parents=True)
    for path in (clips / "door" / "a.mp4", clips / "door" / "b.mp4", tmp_path / "c.mp4"):
        path.write_bytes(b"film of " + path.name.encode())
    about = {"movinet": "recording", "source": "door", "clip": "a.mp4", "events": [{"label": "star"}]}
    (clips / "door" / "a.json").write_text(json.dumps(about))
    (tmp_path / "c.json").write_text(json.dumps({**about, "clip": "c.mp4"}))
    (clips / "door" / "d.json").write_text(json.dumps({**about, "clip": "../../c.mp4"}))
    (clips / "door" / "link.json").write_text(json.dumps({**about, "clip": "link.mp4"}))
    (clips / "door" / "link.mp4").symlink_to(tmp_path / "c.mp4")
    with serving(pools, tmp_path / "state", clips=Clips(str(clips)), tokens=True) as server:
        (listed,) = server.ask("GET", "/api/clips", headers=VIEWER).json["clips"]
        assert (listed["path"], listed["source"]) == ("door/a.mp4", "door")
        got = server.ask("GET", "/api/clips/door/a.mp4", headers=VIEWER)
        assert (got.status, got.body, got.headers["content-type"]) == (200, b"film of a.mp4", "video/mp4")
        for path in (
            *("door/b.mp4", "door/a.json", "door/link.mp4", "../c.mp4", "..%2fc.mp4", "door/..%2f..%2fc.mp4"),
            *("%2e%2e/c.mp4", "door/%2e%2e%2f%2e%2e%2fc.mp4", "./door/a.mp4", "door/a.mp4%00", "/etc/passwd"),
        ):
            assert server.ask("GET", f"/api/clips/{path}", headers=VIEWER).status == 404, path
        assert server.ask("GET", "/api/clips/door/a.mp4").status == 401


def test_pictures_of_sources_are_of_sources(folder: Serving) -> None:
    for name in ("..%2f..%2fsecret", "%2e%2e", "ok.mp4", "a%00b", "%ff"):
        assert folder.ask("GET", f"/api/sources/{name}/picture.jpg").status == 404
