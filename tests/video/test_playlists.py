"""HLS playlists: read where they stay at their own host; each way of leaving it against a server nobody may ask."""

import base64
import itertools
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import Answer, Request, Site, site
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.decode import read_frames
from movinet.video.net.sources import DEFAULT_LIMITS, Limits

PLAYLIST = {"Content-Type": "application/vnd.apple.mpegurl"}


@pytest.fixture
def other(segment: bytes) -> Iterator[Site]:
    """A server at another address, which nobody may ask."""
    pages = {"/0.ts": segment, "/key": bytes(16), "/init.mp4": bytes(16), "/a.m3u8": playlist("#EXTINF:1,", "0.ts")}
    with site(pages, host="127.0.0.2") as server:
        yield server


def numbers(source: str, limits: Limits = DEFAULT_LIMITS, timeout: float = 2) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(source, timeout=timeout, limits=limits)]


def playlist(*lines: str) -> bytes:
    head = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST", ""]).encode()


def test_playlists_of_their_own_host_are_read(segment: bytes) -> None:
    pages = {
        "/live.m3u8": Answer(status=302, headers={"Location": "/deep/all.m3u8"}),
        "/deep/all.m3u8": Answer(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nmoved.m3u8\n", headers=PLAYLIST),
        "/deep/moved.m3u8": Answer(status=302, headers={"Location": "/deeper/one.m3u8"}),
        "/deeper/one.m3u8": Answer(playlist("#EXTINF:1,", "0.ts"), headers=PLAYLIST),
        "/deeper/0.ts": segment,
    }
    with site(pages) as one:
        assert numbers(one.url("/live.m3u8")) == list(range(25))


def test_ranges_of_one_file_are_segments(segment: bytes) -> None:
    half = len(segment) // 188 // 2 * 188
    lines = (
        f"#EXT-X-BYTERANGE:{half}@0", "#EXTINF:0.5,", "0.ts",
        f"#EXT-X-BYTERANGE:{len(segment) - half}@{half}", "#EXTINF:0.5,", "0.ts",
    )  # fmt: skip
    with site({"/a.m3u8": playlist(*lines), "/0.ts": segment}) as one:
        assert numbers(one.url("/a.m3u8")) == list(range(25))


def test_encrypted_segments_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where FFmpeg leaves the key
    options = {"hls_enc": "1", "hls_enc_key": "0123456789abcdef", "hls_enc_key_url": "key", "hls_time": "0.4"}
    frames = [numbered(i) for i in range(25)]
    write(tmp_path / "a.m3u8", frames, container="hls", options={"g": "10"}, muxer=options)
    pages = {f"/{path.name}": path.read_bytes() for path in tmp_path.iterdir()}
    assert b"METHOD=AES-128" in pages["/a.m3u8"]
    with site(pages) as one:
        assert numbers(one.url("/a.m3u8")) == list(range(25))
        assert "/key" in one.paths()


@pytest.mark.parametrize("flags", ["independent_segments", "single_file"])
def test_segments_of_mp4_with_a_map_are_read(tmp_path: Path, flags: str) -> None:
    options = {"hls_segment_type": "fmp4", "hls_time": "0.4", "hls_flags": flags}
    frames = [numbered(i) for i in range(25)]
    write(tmp_path / "a.m3u8", frames, container="hls", options={"g": "10"}, muxer=options)
    pages = {f"/{path.name}": path.read_bytes() for path in tmp_path.iterdir()}
    assert b"#EXT-X-MAP" in pages["/a.m3u8"]
    with site(pages) as one:
        assert numbers(one.url("/a.m3u8")) == list(range(25))


def test_a_live_playlist_is_asked_for_what_is_new(tmp_path: Path) -> None:
    frames = [numbered(i) for i in range(40)]
    write(tmp_path / "a.m3u8", frames, container="hls", options={"g": "10"}, muxer={"hls_time": "0.4"})
    head, *segments = (tmp_path / "a.m3u8").read_text().removesuffix("#EXT-X-ENDLIST\n").split("#EXTINF")
    assert len(segments) == 4
    asked = itertools.count(1)

    def page(request: Request) -> Answer:
        if request.path != "/a.m3u8":
            return Answer((tmp_path / request.path[1:]).read_bytes())
        there = segments[: next(asked)]
        text = "#EXTINF".join([head, *there]) + ("#EXT-X-ENDLIST\n" if there == segments else "")
        return Answer(text.replace("TARGETDURATION:1", "TARGETDURATION:0").encode())

    with site(page) as one:
        assert numbers(one.url("/a.m3u8")) == list(range(40))


@pytest.mark.parametrize(
    "lines",
    [
        ["#EXTINF:1,", "{there}/0.ts"],
        ['#EXT-X-KEY:METHOD=AES-128,URI="{there}/key"', "#EXTINF:1,", "0.ts"],
        ['#EXT-X-MAP:URI="{there}/init.mp4"', "#EXTINF:1,", "0.ts"],
        ["#EXT-X-STREAM-INF:BANDWIDTH=1000", "{there}/a.m3u8"],
        ['#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",URI="{there}/a.m3u8"',
         '#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO="a"', "again.m3u8"],
        ["#EXTINF:1,", "moved.ts"],
        ["#EXTINF:1,", "//127.0.0.2:{port}/0.ts"],
    ],
    ids=["segment", "key", "map", "variant", "sound", "redirected", "without scheme"],
)  # fmt: skip
def test_a_playlist_stays_at_its_host(segment: bytes, other: Site, lines: list[str]) -> None:
    there = other.url("", "127.0.0.2")
    text = playlist(*(line.format(there=there, port=other.port) for line in lines))
    pages = {
        "/a.m3u8": Answer(text, headers=PLAYLIST),
        "/again.m3u8": Answer(playlist("#EXTINF:1,", "0.ts")),
        "/0.ts": Answer(segment),
        "/moved.ts": Answer(status=302, headers={"Location": f"{there}/0.ts"}),
    }
    with site(pages) as one:
        with pytest.raises(VideoError, match=r"leads to another host, 127\.0\.0\.2: refused"):
            numbers(one.url("/a.m3u8"))
        assert other.asked == []
        with suppress(VideoError):  # a key or map of zeros
            numbers(one.url("/a.m3u8"), Limits(hosts=("127.0.0.2",)))
        assert other.asked != []


@pytest.mark.parametrize(
    "uri",
    ["file://{path}", "{path}", "data:video/mp2t;base64,{data}", "crypto:{path}", "subfile,,start,0,end,0,,:{path}",
     "concat:{path}|{path}", "tee:{path}", "rtsp://127.0.0.1/", "udp://127.0.0.1:9", "async:file:{path}"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["segment", "key", "map", "variant"])
def test_a_playlist_opens_no_file_and_no_other_protocol(tmp_path: Path, segment: bytes, uri: str, kind: str) -> None:
    path = tmp_path / "0.ts"
    path.write_bytes(segment)
    uri = uri.format(path=path, data=base64.b64encode(segment).decode()[:600])
    lines = {
        "segment": ["#EXTINF:1,", uri],
        "key": [f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}"', "#EXTINF:1,", "1.ts"],
        "map": [f'#EXT-X-MAP:URI="{uri}"', "#EXTINF:1,", "1.ts"],
        "variant": ["#EXT-X-STREAM-INF:BANDWIDTH=1000", uri],
    }[kind]
    with site({"/a.m3u8": Answer(playlist(*lines), headers=PLAYLIST)}) as one, pytest.raises(VideoError):
        numbers(one.url("/a.m3u8"))


def test_a_playlist_may_not_call_for_decryption(segment: bytes) -> None:
    with site({"/0.ts": segment}) as files:
        for lead in ("crypto+", "crypto:"):
            text = playlist("#EXTINF:1,", lead + files.url("/0.ts"))
            with site({"/a.m3u8": text}) as one, pytest.raises(VideoError):
                numbers(one.url("/a.m3u8"))


def test_a_playlist_by_another_name_is_no_video(segment: bytes) -> None:
    with (
        site({"/clip.mp4": playlist("#EXTINF:1,", "0.ts"), "/0.ts": segment}) as one,
        pytest.raises(VideoError, match="not a video"),
    ):
        numbers(one.url("/clip.mp4"))


def test_a_playlist_without_end_is_refused() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"#EXTM3U\n")
        while True:
            handler.wfile.write(b"#EXTINF:1,\nx.ts\n" * 4096)

    with (
        site({"/a.m3u8": Answer(send=endless, headers=PLAYLIST)}) as one,
        pytest.raises(VideoError, match="a playlist of more than 8 MB: refused"),
    ):
        numbers(one.url("/a.m3u8"), timeout=10)
