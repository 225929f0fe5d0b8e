"""What a source may make this process open: attacks, each against loopback servers that must not be asked."""

from pathlib import Path

import pytest
from loopback import Answer, site
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.decode import read_frames


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("opening") / "clip.mp4", [numbered(i) for i in range(20)])


def numbers(source: str | Path, **options) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(source, timeout=2, **options)]


def test_a_list_of_files_is_no_video(clip: Path) -> None:
    listed = clip.with_name("list.mp4")
    listed.write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    with pytest.raises(VideoError, match=r"list\.mp4: not a video, but a list of other files \(ffconcat\): refused"):
        numbers(listed)


def test_a_redirect_stays_at_its_host(clip: Path) -> None:
    with site({"/clip.mp4": clip.read_bytes()}, host="127.0.0.2") as other:
        pages = {
            "/here": Answer(status=302, headers={"Location": "/clip.mp4"}),
            "/clip.mp4": Answer(clip.read_bytes()),
            "/there": Answer(status=302, headers={"Location": other.url("/clip.mp4", "127.0.0.2")}),
        }
        with site(pages) as one:
            assert numbers(one.url("/here")) == list(range(20))
            with pytest.raises(VideoError, match=r"leads to another host, 127\.0\.0\.2: refused"):
                numbers(one.url("/there"))
        assert other.asked == []
