"""What strangers try on servers of cameras: a test for each, as others were broken into."""

import gzip
import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer as Page
from loopback import site
from serve.serving import SOON, TOKENS, Serving, encoded, picture, serving, until
from serve.test_stream_socket import answer, end_of, open_stream, say, show
from websockets.exceptions import ConnectionClosed, InvalidStatus

from movinet.serve.openapi import describe
from movinet.serve.pools import Pools
from movinet.serve.settings import Bounds, Clips

ADMIN = {"Authorization": f"Bearer {TOKENS['administrator']}"}
VIEWER = {"Authorization": f"Bearer {TOKENS['viewer']}"}


def add(server: Serving, address: Any, name: str = "source", **more: Any) -> Any:
    """A source, added over REST."""
    return server.ask("POST", "/api/sources", {"name": name, "address": address, "timeout": 3, **more})


def state_of(server: Serving, *states: str, name: str = "source") -> dict[str, Any]:
    """The source, once it is in one of those states."""

    def there() -> Any:
        source = server.ask("GET", f"/api/sources/{name}").json
        return source if source["state"] in states else None

    return dict(until(there))


# --- What a source leads to -------------------------------------------------------------------------------------------


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


# --- Files and options ------------------------------------------------------------------------------------------------


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
    assert folder.ask("GET", "/api/files").json == {"files": ["ok.mp4"]}
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


# --- Who asks ---------------------------------------------------------------------------------------------------------


def test_every_request_but_a_few_needs_a_token_and_changes_an_administrators(locked: Serving) -> None:
    """By the description of all there are; from this machine, too."""
    for path, operations in describe("")["paths"].items():
        for method, operation in operations.items():
            where = path.replace("{name}", "none").replace("{source}", "none").replace("{clip}", "none")
            body = {} if "requestBody" in operation else None
            nobody = locked.ask(method.upper(), where, body)
            if operation.get("security") == []:
                assert nobody.status not in (401, 403), path
                continue
            assert nobody.status == 401, path
            if method == "get":
                if path != "/api/events":  # which goes on
                    assert locked.ask("GET", where, headers=VIEWER).status in (200, 404), path
            else:
                assert locked.ask(method.upper(), where, body, VIEWER).status == 403, path
                assert locked.ask(method.upper(), where, body, ADMIN).status in (400, 404), path
    for method in ("TRACE", "PATCH", "OPTIONS", "CONNECT", "FOO"):
        assert locked.ask(method, "/api/sources").status in (400, 401, 403, 405)


def test_a_stream_needs_a_token_in_a_header_a_cookie_or_a_subprotocol(locked: Serving) -> None:
    for options in ({}, {"additional_headers": {"Authorization": "Basic YTpi"}}, {"subprotocols": ["movinet"]}):
        with pytest.raises(InvalidStatus) as refused, locked.stream(**options):
            pass
        assert refused.value.response.status_code == 401
    with locked.stream(additional_headers=VIEWER) as one:
        open_stream(one)
    with locked.stream(subprotocols=["movinet", f"bearer.{TOKENS['viewer']}"]) as one:
        assert one.subprotocol == "movinet", "the token is not said back"
        open_stream(one)
    own = f"http://127.0.0.1:{locked.port}"
    cookie = locked.ask("POST", "/api/login", {"token": TOKENS["viewer"]}, {"Origin": own}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKENS["viewer"] not in cookie
    jar = {"Cookie": cookie.partition(";")[0]}
    with locked.stream(additional_headers=jar, origin=own) as one:
        open_stream(one)
    with pytest.raises(InvalidStatus) as refused, locked.stream(additional_headers=jar):
        pass  # a browser would say whose page it is
    assert refused.value.response.status_code == 403
    locked.ask("POST", "/api/logout", headers={**jar, "Origin": own})
    with pytest.raises(InvalidStatus) as refused, locked.stream(additional_headers=jar, origin=own):
        pass
    assert refused.value.response.status_code == 401


def test_a_token_in_an_address_is_none(locked: Serving) -> None:
    token = TOKENS["administrator"]
    assert locked.ask("GET", f"/api/sources?token={token}&access_token={token}").status == 401


def test_tokens_are_not_guessed(locked: Serving) -> None:
    """Five wrong ones a minute from one address; who is known goes on."""
    assert locked.ask("GET", "/api/sources", headers=VIEWER).status == 200
    tries = [
        locked.ask("GET", "/api/sources", headers={"Authorization": f"Bearer mva_{'b' * 42}{n}"}).status
        for n in range(7)
    ]
    assert tries == [401] * 5 + [429] * 2
    late = locked.ask("POST", "/api/login", {"token": TOKENS["administrator"]})
    assert late.status == 429, "not even the right one is looked at"
    assert 0 < int(late.headers["retry-after"]) <= 61
    with pytest.raises(InvalidStatus) as refused, locked.stream(subprotocols=["bearer." + "mvv_" + "c" * 43]):
        pass
    assert refused.value.response.status_code == 429
    assert locked.ask("GET", "/api/sources", headers=VIEWER).status == 200


FOREIGN = [
    "http://evil.example",
    "null",
    "https://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost.evil.example",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_elsewhere_reach_nothing(origin: str, server: Serving) -> None:
    """Also where no token is set: a browser on this machine visits other pages, too."""
    assert server.ask("POST", "/api/sources", {"name": "x", "address": "x"}, {"Origin": origin}).status == 403
    assert server.ask("GET", "/api/sources", headers={"Origin": origin}).status == 403
    with pytest.raises(InvalidStatus) as refused, server.stream(additional_headers={"Origin": origin}):
        pass
    assert refused.value.response.status_code == 403


def test_pages_elsewhere_that_do_not_say_so_reach_nothing(server: Serving) -> None:
    for whose in ("cross-site", "same-site"):
        assert server.ask("GET", "/api/sources", headers={"Sec-Fetch-Site": whose}).status == 403
    assert server.ask("GET", "/api/sources", headers={"Sec-Fetch-Site": "same-origin"}).status == 200
    simple = {"Content-Type": "text/plain"}  # which a form may send anywhere
    assert server.ask("POST", "/api/sources", b'{"name": "x", "address": "x"}', simple).status == 415


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "", "a b", "[::1"]
)
def test_names_that_lead_here_are_not_this_servers(host: str, server: Serving) -> None:
    """DNS rebinding of a browser: its page's name leads here, and the browser takes us for that page's server."""
    assert server.ask("GET", "/api/sources", headers={"Host": host}).status in (400, 403)
    assert server.ask("GET", "/", headers={"Host": host}).status in (400, 403)


def test_there_is_one_host(server: Serving) -> None:
    with closing(server.raw()) as raw:
        raw.sendall(b"GET /api/sources HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(100).split()[1] == b"400"


def test_allowed_pages_and_names_are_let_in(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, origins=("https://app.example",), names=("cams.example",)) as server:
        there = {"Origin": "https://app.example", "Host": "cams.example", "Sec-Fetch-Site": "cross-site"}
        assert server.ask("GET", "/api/sources", headers=there).status == 200
        with server.stream(origin="https://app.example") as one:
            open_stream(one)


# --- Sizes and times --------------------------------------------------------------------------------------------------


def test_messages_that_are_too_large_end_that_stream_alone(server: Serving) -> None:
    with server.stream() as good:
        open_stream(good)
        with server.stream() as one:
            open_stream(one)
            one.send(b"\0" * (1 << 18) + b"\0")
            assert end_of(one) == ([], 1009)
        with server.stream() as one:
            open_stream(one)
            with suppress(ConnectionClosed):
                one.send(b"\0" * (1 << 12) for _ in range(1 << 10))  # in fragments
            assert end_of(one)[0] == []
        show(good, 0.0, picture().tobytes())
        assert answer(good)[0]["type"] == "prediction"


def test_fragments_without_end_and_without_bytes_end_that_stream(server: Serving) -> None:
    with server.stream() as one:
        open_stream(one)
        raw = one.socket
        raw.sendall(b"\x02\x80" + b"\0" * 4 + b"\x00\x80\0\0\0\0" * 1000)  # binary, masked, empty; it goes on, and on
        _, code = end_of(one)
    assert code == 1008


def test_more_messages_than_are_looked_at_end_that_stream(server: Serving) -> None:
    with server.stream() as one:
        open_stream(one)
        one.socket.sendall(b"\x82\x80\0\0\0\0" * 20_000)
        _, code = end_of(one)
    assert code in (1003, 1008)


def test_pongs_that_nobody_reads_are_not_kept(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, send_buffer=4096) as server, server.stream(close_timeout=0.1) as one:
        open_stream(one)
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ping = b"\x89\xfd" + b"\0" * 4 + b"\0" * 125
        with suppress(OSError):
            for _ in range(100_000):  # 13 MB that would come back
                one.socket.sendall(ping)
        until(lambda: not server.services.sockets)


def test_compression_is_not_agreed_to(server: Serving) -> None:
    """A bomb of 256 KiB could be 256 MiB."""
    with server.stream(compression="deflate") as one:
        assert one.protocol.extensions == []
    bomb = gzip.compress(b" " * 10_000_000 + b"{}")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert server.ask("POST", "/api/login", bomb, headers).status == 400


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (
            "jpeg",
            b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01\xff\xda"
            + b"\0" * 99,
        ),
        ("webp", b"RIFF\x40\0\0\0WEBPVP8L\x30\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 40),
        ("jpeg", encoded(picture())[:-2] + encoded(picture(size=(640, 480)))[2:]),
        ("jpeg", encoded(picture())[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 5000 + b"\xff\xd9"),
    ],
    ids=["vast-jpeg", "vast-webp", "two-sizes", "thousands-of-scans"],
)
def test_pictures_that_would_grow_are_refused_by_what_they_say(form: str, data: bytes, server: Serving) -> None:
    with server.stream() as one:
        open_stream(one, form)
        show(one, 0.0, data)
        assert answer(one)[0]["type"] == "refused"
        show(one, 0.2, encoded(picture(), form))
        assert answer(one)[0]["type"] == "prediction"


def test_heads_that_are_too_large_are_not_read(server: Serving) -> None:
    for head in (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 5000):
        with closing(server.raw()) as raw:
            try:
                raw.sendall(head)
                said = raw.recv(100)
            except ConnectionError:
                said = b""
            assert said == b"" or said.split()[1] in (b"400", b"431")
    assert server.ask("GET", "/healthz").status == 200


def test_bodies_that_are_too_large_are_not_kept(server: Serving) -> None:
    assert server.ask("POST", "/api/sources", b" " * 100_000, {"Content-Type": "application/json"}).status == 413
    for length in ("-1", "1e9", "99999999999999999999"):
        with closing(server.raw()) as raw:
            raw.sendall(f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert raw.recv(100).split()[1] in (b"400", b"413")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SOON)
    with closing(connection):
        pieces = (b" " * 10_000 for _ in range(50))
        try:
            connection.request("POST", "/api/login", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
            assert connection.getresponse().status == 413
        except ConnectionError:
            pass  # it hung up before all was sent


def test_who_sends_slowly_is_not_waited_for(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, bounds=Bounds(open_within=0.5)) as server:
        for beginning in (b"", b"GET / HTTP/1.1\r\nX-Slow: "):
            with closing(server.raw()) as raw:
                raw.sendall(beginning)
                began = time.monotonic()
                assert ended(raw)
                assert time.monotonic() - began < SOON / 2
        with closing(server.raw()) as raw:
            head = b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            raw.sendall(head + b"Content-Length: 50\r\n\r\n{")
            assert raw.recv(100).split()[1] == b"408"
        with closing(server.raw()) as raw:  # a second request on a connection, of which half comes
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert raw.recv(100).split()[1] == b"200"
            raw.sendall(b"GET /healthz HT")
            assert ended(raw)


def ended(raw: socket.socket) -> bool:
    """Whether the server hangs up."""
    try:
        while raw.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    return True


def test_who_reads_slowly_is_not_waited_for_and_others_do_not_notice(pools: Pools, tmp_path: Path) -> None:
    data = picture().tobytes()
    bounds = Bounds(send_within=0.5, idle=300)
    with serving(pools, tmp_path, send_buffer=4096, bounds=bounds) as server, server.stream() as good:
        open_stream(good)
        slow = server.raw()
        with closing(slow):
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(
                b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            slow.recv(12)
            slow.sendall(masked(json.dumps({"type": "open", "size": [32, 24], "format": "rgb"}).encode(), text=True))
            slow.settimeout(0.2)
            sent = 0
            while len(server.services.sockets) == 2 or sent == 0:
                assert sent < 20_000
                try:
                    slow.sendall(masked(struct.pack("<d", sent / 5) + data))
                except OSError:  # full, or over
                    time.sleep(0.05)
                sent += 1
                if sent % 50 == 0:
                    show(good, sent / 5, data)
                    assert answer(good)[0]["type"] == "prediction"
            until(lambda: len(server.services.sockets) == 1)
        until(lambda: server.services.tally.closed.total() == 1)
        say(good, type="close")
        assert end_of(good)[1] == 1000


def masked(data: bytes, text: bool = False) -> bytes:
    """A frame of a client's, masked with zeros."""
    return struct.pack(">BBH", 0x81 if text else 0x82, 0x80 | 126, len(data)) + b"\0" * 4 + data


def test_who_listens_without_reading_is_not_waited_for(pools: Pools, tmp_path: Path, clip: Path) -> None:
    bounds = Bounds(send_within=0.5)
    with serving(pools, tmp_path / "state", send_buffer=4096, bounds=bounds, files=str(clip.parent)) as server:
        with closing(server.raw()) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /api/events?types=lost HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            until(lambda: server.services.hub.listeners)
            listener = next(iter(server.services.hub.listeners))
            for n in range(2000):
                server.services.hub._loop.call_soon_threadsafe(listener.take, f'{{"n": {n}, "x": "{"y" * 3000}"}}')
            until(lambda: not server.services.hub.listeners)
        assert listener.dropped > 0
        assert len(listener._waiting) <= 256


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with a file that is no video."""
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "clip.mp4"
    path.write_bytes(b"no video")
    return path


def test_connections_are_counted(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, bounds=Bounds(connections=5)) as server:
        held = [server.raw() for _ in range(5)]
        try:
            until(lambda: len(server.server.server_state.connections) == 5)
            with closing(server.raw()) as one_more:
                assert ended(one_more)
        finally:
            for one in held:
                one.close()
        until(lambda: server.server.server_state.connections == set())
        assert server.ask("GET", "/healthz").status == 200


def test_listeners_and_sources_are_counted(pools: Pools, tmp_path: Path, clip: Path) -> None:
    bounds = Bounds(listeners=2, sources=2)
    with serving(pools, tmp_path / "state", bounds=bounds, files=str(clip.parent)) as server:
        held = [server.raw() for _ in range(2)]
        for one in held:
            one.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: len(server.services.hub.listeners) == 2)
        assert server.ask("GET", "/api/events").status == 503
        for one in held:
            one.close()
        assert [add(server, "clip.mp4", str(n)).status for n in range(3)] == [201, 201, 503]
