"""Pictures are scaled the same whether they were brought into the cache or not."""

import av
import numpy as np
import pytest
from av.filter import Graph

from movinet.video import scale
from movinet.video.seen import Seen

ROWS = Seen(slice(0, 480), 96, slice(4, 92))
COLUMNS = Seen(slice(80, 560), 96, slice(4, 92))


def picture(layout: str, flipped: bool = False) -> av.VideoFrame:
    """640×480, of noise; `flipped`: stored from the bottom up."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format=layout)
    if not flipped:
        return frame
    graph = Graph()
    source = graph.add("buffer", f"video_size=640x480:pix_fmt={layout}:time_base=1/1")
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.push(frame)
    turned = graph.pull()
    assert isinstance(turned, av.VideoFrame)
    return turned


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv422p10le", "yuv411p", "nv12", "gbrp", "rgb24", "gray"])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_picture_fetched_is_the_same(layout: str, flipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = picture(layout, flipped)
    assert (frame.planes[0].line_size < 0) == flipped
    seen = scale.see_frame(frame, ROWS, COLUMNS)
    monkeypatch.setattr(scale, "_fetch", lambda frame: None)
    np.testing.assert_array_equal(seen, scale.see_frame(frame, ROWS, COLUMNS))
