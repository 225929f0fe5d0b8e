"""What a camera says of its pictures, beside them and in them: any bytes are read."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.video.camera.picture_format import PictureFormat
from movinet.video.picture_head import size_in_vp8, size_in_vp9
from movinet.video.sample import sample_clip


@given(extradata=st.lists(st.sampled_from([b"\0\0\1", b"\0", b"\1", b"\x67\x42", b"\x42\1", b"\x68"])).map(b"".join))
def test_any_description_is_read(extradata: bytes) -> None:
    with av.open(sample_clip()) as clip:
        stream = clip.streams.video[0]
        assert stream.codec_context.name == "h264"
        stream.codec_context.extradata = extradata
        known = PictureFormat(stream)
        packet = av.Packet(np.zeros(64, np.uint8).tobytes())
        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 5), True
        assert not known.changes(packet)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libvpx", "yuv420p"),
        ("libvpx-vp9", "yuv420p"),
        ("libvpx-vp9", "yuv444p"),
        ("libvpx-vp9", "gbrp"),
    ],
)
def test_key_frames_say_their_size_and_no_others_do(codec: str, pixels: str) -> None:
    size_in = size_in_vp8 if codec == "libvpx" else size_in_vp9
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 70, 46, pixels, Fraction(1, 5)
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": "3"}
    frame, packets = av.VideoFrame(70, 46, pixels), []
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    for n in range(5):
        frame.pts, frame.time_base = n, Fraction(1, 5)
        packets += encoder.encode(frame)
    assert [size_in(bytes(packet)) for packet in packets] == [(70, 46), None, None, (70, 46), None]
    assert {size_in(bytes(packets[0])[:count]) for count in range(40)} == {None, (70, 46)}


@given(data=st.binary(max_size=24))
def test_any_bytes_are_read_as_frames(data: bytes) -> None:
    for size_in in (size_in_vp8, size_in_vp9):
        size_in(data)
