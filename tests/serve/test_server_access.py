"""What strangers try on a server of cameras: to get in without a token, by guessing, or from a page elsewhere."""

from contextlib import closing
from pathlib import Path

import pytest
from serve.serving import ADMIN, TOKENS, VIEWER, Serving, serving
from serve.test_stream_socket import open_stream
from websockets.exceptions import InvalidStatus

from movinet.serve.openapi import describe
from movinet.serve.pools import Pools


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
