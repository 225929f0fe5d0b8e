"""What a camera's description is read as: any bytes."""

from fractions import Fraction

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from movinet.video.camera.picture_format import PictureFormat
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
