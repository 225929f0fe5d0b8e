"""What strangers try on a server of cameras: sources that lead elsewhere."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer as Page
from loopback import site
from serve.serving import Serving, add, serving, state_of

from movinet.serve.pools import Pools


@contextmanager
def inside() -> Iterator[Any]:
    """A server that nobody from outside may reach: `asked` is what reached it all the same."""
    with site({"/": b"secret", "/secret.mp4": b"secret", "/seg.ts": b"secret"}, "127.0.0.2") as secret:
        yield secret


def test_a_redirect_leads_nowhere_else(pools: Pools, tmp_path: Path) -> None:
    with inside() as secret:
        moved = Page(status=302, headers={"Location": secret.url("/secret.mp4", "127.0.0.2")})
        with site({"/cam": moved}) as outside, serving(pools, tmp_path, source_hosts=("127.0.0.1",)) as server:
            assert add(server, outside.url("/cam")).status == 201
            source = state_of(server, "given up")
            assert "leads to another host" in source["why"]
            assert outside.paths() == ["/cam"]
        assert secret.asked == []


def test_a_playlist_leads_nowhere_else(pools: Pools, tmp_path: Path) -> None:
    with inside() as secret:
        segment = secret.url("/seg.ts", "127.0.0.2")
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2,\n{segment}\n"
        page = Page(text.encode(), headers={"Content-Type": "application/vnd.apple.mpegurl"})
        with site({"/live.m3u8": page}) as outside, serving(pools, tmp_path, source_hosts=("127.0.0.1",)) as server:
            assert add(server, outside.url("/live.m3u8")).status == 201
            state_of(server, "given up", "lost")
            assert "/live.m3u8" in outside.paths()
        assert secret.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {secret}\n",
        "ffconcat version 1.0\nfile 'http://127.0.0.2:{port}/secret.mp4'\n",
        "#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.2:{port}/seg.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.2\nc=IN IP4 127.0.0.2\nm=video 5004 RTP/AVP 96\n",
        "<MPD><Period><BaseURL>http://127.0.0.2:{port}/</BaseURL></Period></MPD>",
    ],
    ids=["concat", "concat-http", "hls", "sdp", "dash"],
)
def test_a_file_that_names_others_opens_none(text: str, pools: Pools, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    with inside() as secret:
        (folder / "x.mp4").write_text(text.format(secret=tmp_path / "secret.mp4", port=secret.port))
        with serving(pools, tmp_path / "state", files=str(folder)) as server:
            assert add(server, "x.mp4").status == 201
            assert state_of(server, "given up")["why"]
        assert secret.asked == []


def test_a_name_that_leads_elsewhere_the_second_time_reaches_nothing_else(
    pools: Pools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: of a name, private addresses are reached only in networks that are listed."""
    asked, resolve = [], socket.getaddrinfo

    def changing(host: str, *more: Any, **options: Any) -> Any:
        if host != "cam.test":
            return resolve(host, *more, **options)
        asked.append(host)
        return resolve("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    hosts = ("cam.test", "127.0.0.1")
    with inside() as secret, site({}, port=secret.port) as outside:
        with serving(pools, tmp_path, source_hosts=hosts) as server:
            assert add(server, outside.url("/secret.mp4", "cam.test")).status == 201
            source = state_of(server, "given up")
            assert "private network" in source["why"]
            assert outside.paths() == ["/secret.mp4"], "the first time"
        assert secret.asked == []
    assert len(asked) >= 2


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1", "017700000001", "0", "0.0.0.0"),
        *(
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[fe80::1]",
            "169.254.169.254",
        ),
        *("allowed.test.", "allowed.test@127.0.0.1", "user:allowed.test@127.0.0.1", "127.0.0.1#allowed.test"),
        *("127.0.0.1?allowed.test", "127.0.0.1/allowed.test", "allowed.test%00.example.org", "evilallowed.test"),
        *("allowed.test.example.org", "①27.0.0.1", "127。0。0。1", "10.0.0.1", ""),
    ],
)
def test_hosts_that_are_not_allowed_are_not_asked_however_they_are_written(
    host: str, pools: Pools, tmp_path: Path, guarded: tuple[Serving, Any]
) -> None:
    server, trap = guarded
    for scheme in ("http", "rtsp"):
        refused = add(
            server, f"{scheme}://{host}:{trap.port}/x" if "#" not in host and "?" not in host else f"{scheme}://{host}"
        )
        if host == "allowed.test.":  # the same name, whole
            assert refused.status == 201
            assert server.ask("DELETE", "/api/sources/source").status == 204
        else:
            assert refused.status == 400, refused.body
    assert trap.asked == []


@pytest.fixture(scope="module")
def guarded(pools: Pools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Any]]:
    """A server that may reach `allowed.test` and 192.168.77.0/24, and one on loopback that nothing may reach."""
    state = tmp_path_factory.mktemp("state")
    with site({}) as trap, serving(pools, state, source_hosts=("allowed.test", "192.168.77.0/24")) as server:
        yield server, trap


def test_an_allowed_name_that_leads_to_this_machine_is_not_followed(
    pools: Pools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **options: resolve("127.0.0.2" if host == "cam.test" else host, *more, **options),
    )
    with inside() as secret, serving(pools, tmp_path, source_hosts=("cam.test",)) as server:
        for name, scheme in (("a", "http"), ("b", "rtsp")):
            assert add(server, f"{scheme}://cam.test:{secret.port}/secret.mp4", name).status == 201
            assert "private network" in state_of(server, "given up", name=name)["why"]
        assert secret.asked == []
