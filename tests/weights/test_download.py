"""Downloads, against a server on this machine that misbehaves in every way the real ones do."""

import errno
import http.client
import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
from flaky_server import CONTENT, HASH, PATH, Handler, Server, cut, hangs_up, ignores_range, silent, status, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from movinet.errors import WeightsError
from movinet.weights import download
from movinet.weights.cache_folder import default_cache_dir
from movinet.weights.download import cache_path

fetch = partial(download.fetch, timeout=0.3, backoff=0.001)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOVINET_CACHE", "MOVINET_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(folder: Path) -> set[str]:
    """What lies in the cache, but the lock."""
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}


NAME = PATH.rsplit("/", 1)[1]


def test_fetches_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(server.url, sha256=HASH.upper(), cache_dir=tmp_path, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert path == cache_path(server.url, tmp_path)
    assert left(tmp_path) == {NAME}
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path, offline=True) == path
    assert len(server.requests) == 1


def test_resumes_where_connections_were_cut(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000), cut(200_000), hangs_up, cut(0)]
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-", "bytes=500000-", "bytes=500000-"]


def test_a_later_call_resumes(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000)]
    with pytest.raises(WeightsError, match=r"cut after 300000 of 1024000 bytes; the 300000 bytes .* are kept"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path, attempts=1)
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges[1] == "bytes=300000-"
    assert left(tmp_path) == {NAME}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["cut", "cut without tag", "ignore", "503", "hang up", "change"]), max_size=4))
def test_any_run_of_mishaps_ends_in_the_right_file(
    server: Server, tmp_path_factory: pytest.TempPathFactory, mishaps: list[str]
) -> None:
    plays: dict[str, Callable[[Handler], None]] = {
        "cut": cut(250_000),
        "cut without tag": cut(100_000, tag=""),
        "ignore": lambda handler: handler.answer(200, CONTENT[:400_000], len(CONTENT), ETag='"v1"'),
        "503": status(503),
        "hang up": hangs_up,
        "change": cut(350_000, content=CONTENT[::-1], tag='"v0"'),
    }
    server.script = [plays[mishap] for mishap in mishaps]
    folder = tmp_path_factory.mktemp("cache")
    assert fetch(server.url, sha256=HASH, cache_dir=folder).read_bytes() == CONTENT
    assert left(folder) == {NAME}


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000), ignores_range]
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_content_that_changes_between_attempts_is_not_mixed(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000, content=CONTENT[::-1], tag='"v0"')]
    assert fetch(server.url, sha256=None, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_pieces_that_do_not_fit_are_fetched_again(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000, content=CONTENT[::-1])]  # the same tag for other content
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", None]


def test_wrong_part_of_the_file_is_not_appended(server: Server, tmp_path: Path) -> None:
    def misplaced(handler: Handler) -> None:
        handler.answer(206, CONTENT[5:], Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}")

    server.script = [cut(300_000), misplaced]
    assert fetch(server.url, sha256=None, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", None]


@pytest.mark.parametrize("present", [len(CONTENT), len(CONTENT) + 9])
def test_nothing_left_to_send(server: Server, tmp_path: Path, present: int) -> None:
    part = cache_path(server.url, tmp_path).with_name(NAME + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes((CONTENT + bytes(9))[:present])  # a run that ended just before the renaming, or a longer file
    part.with_name(NAME + ".part.tag").write_text('"v1"')
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={present}-"] + [None] * (present > len(CONTENT))


def test_a_part_of_unknown_origin_is_not_used(server: Server, tmp_path: Path) -> None:
    part = cache_path(server.url, tmp_path).with_name(NAME + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"whatever")
    assert fetch(server.url, sha256=None, cache_dir=tmp_path).read_bytes() == CONTENT


def test_passing_errors_are_waited_out(server: Server, tmp_path: Path) -> None:
    server.script = [status(503), status(500), silent, status(429)]
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("play", "message"),
    [(status(502), "502"), (silent, "is silent"), (hangs_up, "closed|reset"), (cut(0), "cut after 0")],
)
def test_gives_up_when_nothing_helps(
    server: Server, tmp_path: Path, play: Callable[[Handler], None], message: str
) -> None:
    server.script = [play] * 9
    with pytest.raises(WeightsError, match=rf"cannot download {server.url}: .*({message})"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path, attempts=2)
    assert len(server.requests) == 2


def test_waits_longer_each_time(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.script = [status(503)] * 3 + [cut(9), status(503)]
    fetch(server.url, sha256=HASH, cache_dir=tmp_path, backoff=1)
    assert waits == [1, 2, 4, 1, 2]


def test_final_errors_are_not_repeated(server: Server, tmp_path: Path) -> None:
    server.script = [status(404)]
    with pytest.raises(WeightsError, match="the server answers 404 Not Found"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path)
    assert len(server.requests) == 1
    with pytest.raises(WeightsError, match=r"cannot download .*refused"):
        fetch("http://127.0.0.1:9/nobody/listens", sha256=None, cache_dir=tmp_path, attempts=1)


def test_wrong_hash_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"has SHA-256 {HASH}, expected {'0' * 64}"):
        fetch(server.url, sha256="0" * 64, cache_dir=tmp_path)
    assert left(tmp_path) == set()
    assert len(server.requests) == 1


def test_hash_is_recorded_on_first_use(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, sha256=None, cache_dir=tmp_path)
    assert path.with_name(NAME + ".sha256").read_text() == f"{HASH}  {NAME}\n"
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=rf"expected {HASH}; delete it and {NAME}.sha256 to download it again"):
        fetch(server.url, sha256=None, cache_dir=tmp_path)
    with pytest.raises(WeightsError, match=rf"expected {HASH}; delete it to download it again"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path)
    path.unlink()
    server.script = [partial(whole, content=b"the address now serves other content")]
    with pytest.raises(WeightsError, match=f"expected {HASH}"):
        fetch(server.url, sha256=None, cache_dir=tmp_path)


def test_redirects(server: Server, tmp_path: Path) -> None:
    server.script = [status(302, Location="/elsewhere"), status(301, Location="/again"), cut(300_000)]
    assert fetch(server.url, sha256=HASH, cache_dir=tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == [PATH, "/elsewhere", "/again", PATH]
    assert server.ranges[-1] == "bytes=300000-"


def test_redirects_in_circles(server: Server, tmp_path: Path) -> None:
    server.script = [status(302, Location=PATH)] * 99
    with pytest.raises(WeightsError, match="would lead to an infinite loop"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path)
    assert len(server.requests) < 20


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/weights"])
def test_redirects_out_of_the_web_are_refused(server: Server, tmp_path: Path, target: str) -> None:
    server.script = [status(302, Location=target)]
    with pytest.raises(WeightsError, match=rf"{target}.* (not secure|not allowed)"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path)


def test_redirect_from_https_to_http_is_refused() -> None:
    handler, headers = download._Redirects(), http.client.HTTPMessage()
    request = Request("https://secure.example/a")
    with pytest.raises(WeightsError, match="which is not secure: refused"):
        handler.redirect_request(request, io.BytesIO(), 302, "Found", headers, "http://secure.example/a")
    assert handler.redirect_request(request, io.BytesIO(), 302, "Found", headers, "https://other.example/a") is not None


def test_offline_says_what_to_put_where(tmp_path: Path) -> None:
    url = "https://storage.example/vision/a0.tar.gz"
    path = cache_path(url, tmp_path)
    with pytest.raises(WeightsError) as caught:
        fetch(url, sha256=HASH, cache_dir=tmp_path, offline=True)
    assert str(caught.value).endswith(f"download {url} (SHA-256 {HASH}) elsewhere and put it at {path}")
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch(url, sha256=HASH, cache_dir=tmp_path, offline=True) == path


def test_local_files_are_used_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "with space.safetensors"
    path.write_bytes(CONTENT)
    for address in (str(path), path.as_uri()):
        assert fetch(address, sha256=HASH, offline=True) == path
    assert left(tmp_path) == {path.name}
    with pytest.raises(WeightsError, match=rf"{path.name} has SHA-256 {HASH}, expected 0+$"):
        fetch(str(path), sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"cannot read .*absent: No such file"):
        fetch(str(tmp_path / "absent"), sha256=None)


def test_mirror(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"https://storage.example{PATH}?v=1"
    monkeypatch.setenv("MOVINET_MIRROR", server.url.removesuffix(PATH) + "/mirror/")
    path = fetch(url, sha256=HASH, cache_dir=tmp_path)
    assert path == cache_path(url, tmp_path)
    assert server.requests[0][0] == f"/mirror{PATH}?v=1"
    monkeypatch.setenv("MOVINET_MIRROR", str(path.parents[1]))
    assert fetch(f"https://other.example{PATH.replace('movinet', path.name[:8] + '-movinet')}", sha256=HASH) == path


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg" / "movinet"
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "own"))
    assert default_cache_dir() == tmp_path / "own"


@given(st.text(st.sampled_from("ab./\\%2eé :~"), max_size=20), st.text(st.sampled_from("ab=&/."), max_size=5))
def test_no_address_leads_out_of_the_cache(path: str, query: str) -> None:
    root = Path("/cache")
    try:
        found = cache_path(f"https://h.example/{path}?{query}", root)
    except WeightsError:
        return
    assert ".." not in found.parts
    assert found.is_relative_to(root / "h.example")
    assert found != root / "h.example"


@pytest.mark.parametrize("url", ["ftp://h.example/a", "https://", "https:///a", "https://h.example/", "http://h:x/a"])
def test_addresses_that_are_none(url: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        fetch(url, sha256=None, cache_dir=tmp_path)


@pytest.mark.parametrize("address", ["http://user:s3cret@127.0.0.1:1/a", "http://127.0.0.1:1/a?token=s3cret"])
def test_passwords_are_not_shown(address: str, tmp_path: Path) -> None:
    for offline in (False, True):
        with pytest.raises(WeightsError, match="127") as caught:
            fetch(address, sha256=None, cache_dir=tmp_path, offline=offline, attempts=1)
        assert "s3cret" not in str(caught.value)


def test_hash_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="64 hexadecimal digits"):
        fetch("https://h.example/a", sha256="123", cache_dir=tmp_path)


def test_disk_full(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    whole_open = Path.open

    def full(self: Path, mode: str = "r", **kwargs: Any) -> Any:
        file = whole_open(self, mode, **kwargs)
        if self.suffix != ".part":
            return file
        file.close()
        return Full()

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(WeightsError, match=r"no space left for .*MOVINET_CACHE"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path)
    assert left(tmp_path) == set()


def test_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match="name another cache folder in MOVINET_CACHE"):
        fetch(server.url, sha256=HASH, cache_dir=tmp_path / "file")


def test_many_at_once_download_once(server: Server, tmp_path: Path) -> None:
    server.script = [cut(300_000)]
    with ThreadPoolExecutor(8) as pool:  # flock separates open files, so threads stand for processes
        paths = list(pool.map(lambda _: fetch(server.url, sha256=None, cache_dir=tmp_path), range(8)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert left(tmp_path) == {NAME, NAME + ".sha256"}


def test_a_host_that_is_not_known_is_given_up_at_once(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(WeightsError, match=r"host is not known here .* put it at .*file\.bin, or name a mirror"):
        fetch("http://nowhere.invalid/file.bin", sha256=None, cache_dir=tmp_path, backoff=60)
    assert time.monotonic() - begin < 30
