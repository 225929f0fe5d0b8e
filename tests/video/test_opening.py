"""What files and addresses may make this process open: attacks, with files and servers that must stay untouched."""

import base64
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from loopback import Answer, Request, Site, site
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.locations import Member
from movinet.video.net.sources import DEFAULT_LIMITS, FORMATS, Limits


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("opening") / "clip.mp4", [numbered(i) for i in range(20)])


@pytest.fixture
def other(clip: Path) -> Iterator[Site]:
    """A server at another address, which nobody may ask."""
    with site({"/clip.mp4": clip.read_bytes()}, host="127.0.0.2") as server:
        yield server


def numbers(source: str | Path | Member, limits: Limits = DEFAULT_LIMITS, timeout: float = 2) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(source, timeout=timeout, limits=limits)]


# --- files


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ffconcat version 1.0\nfile clip.mp4\n", r"a list of other files \(ffconcat\)"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n", r"a playlist .* \(HLS\)"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{http}/clip.mp4\n#EXT-X-ENDLIST\n", r"a playlist .* \(HLS\)"),
        ("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.2\nt=0 0\nm=video 5004 RTP/AVP 96\n", r".*\(SDP\)"),
    ],
)
@pytest.mark.parametrize("name", ["x.mp4", "x.m3u8", "x.sdp", "x.ffconcat"])
def test_a_file_that_lists_others_opens_none(clip: Path, other: Site, text: str, what: str, name: str) -> None:
    path = clip.with_name(name)
    path.write_text(text.format(http=other.url(host="127.0.0.2")))
    with pytest.raises(VideoError, match=rf"^{re.escape(str(path))}: not a video(, but {what}: refused|, or cut)"):
        numbers(path)
    for reading in (duration, probe, lambda path: next(read_at(path, [0.0]))):
        with pytest.raises(VideoError, match="not a video"):
            reading(path)
    archive = clip.with_name("set.tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(path, "x.mp4")
    with tarfile.open(archive) as tar:
        inside = tar.getmember("x.mp4")
    with pytest.raises(VideoError, match=r"set\.tar: x\.mp4: not a video"):
        numbers(Member(archive, "x.mp4", inside.offset_data, inside.size))
    assert other.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "subfile,,start,0,end,0,,:{clip}",
        "concat:{clip}|{clip}",
        "crypto:{clip}",
        "cache:{clip}",
        "async:{clip}",
        "tee:{clip}",
        "pipe:0",
        "fd:0",
        "data:video/mp4;base64,{data}",
        "http:{host}/clip.mp4",
    ],
)
def test_a_file_name_is_no_protocol(clip: Path, other: Site, name: str) -> None:
    data = base64.b64encode(clip.read_bytes()[:100]).decode()
    with pytest.raises(VideoError, match="no such file"):
        numbers(name.format(clip=clip, data=data, host=f"//127.0.0.2:{other.port}".replace("//", "/")))
    assert other.asked == []


@pytest.mark.parametrize(
    "scheme", ["concat", "subfile", "crypto", "data", "tee", "ftp", "gopher", "async", "pipe", "mms"]
)
def test_only_known_kinds_of_address_are_opened(clip: Path, scheme: str) -> None:
    with pytest.raises(VideoError, match=rf"^{scheme}://.*: cannot be opened: an address begins with one of http://"):
        numbers(f"{scheme}://{clip}")


def test_a_path_of_a_list_of_clips_is_no_address(clip: Path, other: Site) -> None:
    for reading in (numbers, duration, probe, lambda path: next(read_at(path, [0.0]))):
        with pytest.raises(VideoError, match="no such file"):
            reading(clip.parent / other.url("/clip.mp4", "127.0.0.2"))
    assert other.asked == []


def test_a_file_may_be_told_as_an_address(clip: Path) -> None:
    assert numbers(f"file://{clip}") == list(range(20))
    with pytest.raises(VideoError, match="of another machine"):
        numbers(f"file://host{clip}")


def test_a_name_with_a_pattern_stands_for_itself(tmp_path: Path) -> None:
    for name, number in (("p%03d.png", 7), ("p000.png", 1), ("p001.png", 2)):
        image = write(tmp_path / "one.png", [numbered(number)], codec="png", pixels="rgb24", container="image2")
        image.rename(tmp_path / name)
    assert numbers(tmp_path / "p%03d.png") == [7]


def test_formats_are_those_of_this_ffmpeg() -> None:
    known = {one for name in av.formats_available for one in name.split(",")}
    assert len(set(FORMATS.split(",")) & known) > 100
    assert not set(FORMATS.split(",")) & {
        "concat",
        "hls",
        "dash",
        "sdp",
        "rtsp",
        "rtp",
        "lavfi",
        "tty",
        "imf",
        "vobsub",
    }


# --- sizes


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(width + 1)) for _ in range(height)) + packed.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pictures_that_are_too_large_are_refused(tmp_path: Path, clip: Path) -> None:
    huge = tmp_path / "huge.png"
    huge.write_bytes(png(60000, 1).replace(struct.pack(">II", 60000, 1), struct.pack(">II", 60000, 60000)))
    large = tmp_path / "large.png"
    large.write_bytes(png(400, 300))
    jpeg = tmp_path / "huge.jpg"
    write(jpeg, [numbered(1)], codec="mjpeg", pixels="yuvj420p", container="image2")
    jpeg.write_bytes(jpeg.read_bytes().replace(struct.pack(">HH", 32, 64), struct.pack(">HH", 60000, 60000)))
    for path in (huge, jpeg):
        with pytest.raises(VideoError, match="60000x60000"):
            numbers(path)
    with pytest.raises(VideoError, match=r"400x300, more than 119999 pixels: refused; Limits\(max_pixels=…\)"):
        numbers(large, Limits(max_pixels=119_999))
    assert len(numbers(large, Limits(max_pixels=120_000))) == 1
    with pytest.raises(VideoError, match="64x32"):
        probe(clip, limits=Limits(max_pixels=2047))


def test_a_video_that_claims_to_be_huge_takes_no_memory_for_it(tmp_path: Path, clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28  # width and height in the sample entry
    assert struct.unpack_from(">HH", data, at) == (64, 32)
    struct.pack_into(">HH", data, at, 60000, 60000)
    path = tmp_path / "huge.mp4"
    path.write_bytes(data)
    assert numbers(path) == list(range(20))  # the pictures know better


def test_pictures_may_not_grow_beyond_the_limit_midway(tmp_path: Path) -> None:
    small = write(tmp_path / "a.h264", [numbered(i) for i in range(5)]).read_bytes()
    large = write(tmp_path / "b.h264", [numbered(i, 128, 256) for i in range(5)]).read_bytes()
    path = tmp_path / "both.h264"
    path.write_bytes(small + large)
    assert len(numbers(path)) == 10
    shown = [frame.rgb.shape for frame in read_frames(path, limits=Limits(max_pixels=64 * 32))]
    assert set(shown) == {(32, 64, 3)}


def test_thousands_of_streams_are_refused(tmp_path: Path, clip: Path) -> None:
    data = clip.read_bytes()
    moov, trak = data.index(b"moov") - 4, data.index(b"trak") - 4  # the index is at the end
    length = struct.unpack_from(">I", data, trak)[0]
    for count in (3, 2000):
        index = data[moov + 8 : trak] + data[trak : trak + length] * count + data[trak + length :]
        path = tmp_path / "many.mp4"
        path.write_bytes(data[:moov] + struct.pack(">I", len(index) + 8) + b"moov" + index)
        if count < 256:
            assert probe(path).frames == 20
        else:
            with pytest.raises(VideoError, match=r"has more than 256 streams"):
                probe(path)


@pytest.mark.parametrize("values", [{"max_pixels": 0}, {"max_streams": 0}, {"max_redirects": -1}])
def test_unfit_limits_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Limits(**values)


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_stays_at_its_host(clip: Path, other: Site, status: int) -> None:
    there = other.url("/clip.mp4", "127.0.0.2")
    pages = {
        "/here": Answer(status=status, headers={"Location": "/clip.mp4"}),
        "/clip.mp4": Answer(clip.read_bytes()),
        "/there": Answer(status=status, headers={"Location": there}),
        "/chain": Answer(status=status, headers={"Location": "there"}),
    }
    with site(pages) as one:
        assert numbers(one.url("/here")) == list(range(20))
        for path in ("/there", "/chain"):
            with pytest.raises(VideoError, match=r"leads to another host, 127\.0\.0\.2: refused; .*--allow-hosts 127"):
                numbers(one.url(path))
            with pytest.raises(VideoError, match="leads to another host"), LiveSource(one.url(path), 5, retries=0):
                pass
        assert other.asked == []
        for hosts in (("127.0.0.2",), ("127.*",), ("*",)):
            assert numbers(one.url("/chain"), Limits(hosts)) == list(range(20))


def test_a_name_is_another_host_than_its_number(clip: Path) -> None:
    with site({"/clip.mp4": clip.read_bytes()}) as other:
        with (
            site({"/": Answer(status=302, headers={"Location": other.url("/clip.mp4", "localhost")})}) as one,
            pytest.raises(VideoError, match="leads to another host, localhost: refused"),
        ):
            numbers(one.url())
        assert other.asked == []


@pytest.mark.parametrize(
    "target",
    [
        "file://{clip}",
        "data:video/mp4;base64,AAAA",
        "rtsp://{host}/",
        "ftp://{host}/",
        "crypto:{clip}",
        "concat:x",
        "http://[::1",
    ],
)
def test_a_redirect_leads_to_nothing_but_http(clip: Path, target: str) -> None:
    def page(request: Request) -> Answer:
        return Answer(status=302, headers={"Location": target.format(clip=clip, host=request.host)})

    with site(page) as one, pytest.raises(VideoError, match=r"neither http nor https: refused|no address"):
        numbers(one.url())


def test_redirects_in_a_circle_end(clip: Path) -> None:
    with site(lambda request: Answer(status=302, headers={"Location": request.path + "x"})) as one:
        with pytest.raises(VideoError, match="redirects more than 5 times: refused"):
            numbers(one.url())
        assert len(one.asked) == 6


def test_a_list_of_files_on_a_server_is_no_video(clip: Path, other: Site) -> None:
    text = f"ffconcat version 1.0\nfile {other.url('/clip.mp4', '127.0.0.2')}\n"
    with (
        site({"/x.mp4": text.encode()}) as one,
        pytest.raises(VideoError, match=r"not a video, but a list of other files \(ffconcat\): refused"),
    ):
        numbers(one.url("/x.mp4"))
    assert other.asked == []
