"""What a stream says of all the pictures that follow, their size above all: a camera may change it while it runs."""

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from movinet.video.picture_head import size_in_head, size_in_vp8, size_in_vp9

_HEAD = 4096  # bytes within which a camera's JPEG states its size; others do at once
_SIZES = {"mjpeg": size_in_head, "vp8": size_in_vp8, "vp9": size_in_vp9}  # of codecs without a description


class PictureFormat:
    """Follows what key frames say of it: the sequence's parameters of H.264 and HEVC, the size of JPEG, VP8 and VP9,
    what others have for it. Those of single pictures may change with every one.

    Args:
        stream: The track.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream, self._codec = stream, stream.codec_context.name
        self.extradata: bytes | None = None
        """The codec's description, where it is another than the track's own."""
        self.size: tuple[int, int] | None = None
        """Width and height, where pictures say it and no description does."""
        own = stream.codec_context.extradata
        self._known: bytes | tuple[int, int] | None = None if own is None else self._of_sequence(own)
        self._filter: BitStreamFilterContext | None = None
        # In front of its units may stand lengths in place of start codes: then a description comes beside a packet.
        if not (self._codec in ("h264", "hevc") and own is not None and own[:1] == b"\1"):
            try:
                self._filter = BitStreamFilterContext("extract_extradata", stream)
            except Exception:  # FFmpeg's, of a codec that needs no description
                self._filter = None

    def changes(self, packet: "av.Packet[VideoStream]") -> bool:
        """Whether pictures are another from this key frame's packet on."""
        said: bytes | tuple[int, int] | None
        if (size_in := _SIZES.get(self._codec)) is not None:
            brought, said = None, size_in(bytes(packet)[:_HEAD])
            self.size = said or self.size
        else:
            brought = self._brought(packet)
            said = None if brought is None else self._of_sequence(brought)
        if said is None or said == self._known:
            return False
        before, self._known, self.extradata = self._known, said, brought
        return before is not None

    def _brought(self, packet: "av.Packet[VideoStream]") -> bytes | None:
        if packet.has_sidedata("new_extradata"):
            return bytes(packet.get_sidedata("new_extradata"))
        if self._filter is None:
            return None
        copy = av.Packet(bytes(packet))  # the filter empties it
        copy.stream, copy.time_base = self._stream, packet.time_base
        try:
            for filtered in self._filter.filter(copy):
                if filtered.has_sidedata("new_extradata"):
                    return bytes(filtered.get_sidedata("new_extradata"))
        except Exception:  # FFmpeg's, of what is damaged
            return None
        return None

    def _of_sequence(self, extradata: bytes) -> bytes:
        if extradata[:1] == b"\1":
            return extradata
        units = [unit for cut in extradata.split(b"\0\0\1")[1:] if (unit := cut.rstrip(b"\0"))]
        if self._codec == "h264":
            return b" ".join(unit for unit in units if unit[0] & 31 == 7)
        if self._codec == "hevc":
            return b" ".join(unit for unit in units if unit[0] >> 1 & 63 == 33)
        return extradata
