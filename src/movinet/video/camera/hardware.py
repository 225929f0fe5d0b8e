"""Decoding by hardware, where PyAV has it and this machine too."""

import logging
import sys
from functools import lru_cache

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from movinet.video.net.sources import without_password

logger = logging.getLogger(__name__)

_BEST = {"darwin": ("videotoolbox",), "win32": ("d3d12va", "d3d11va", "cuda", "qsv", "dxva2")}
_ELSEWHERE = ("cuda", "vaapi", "qsv", "vulkan", "drm")


def accelerator(wanted: bool | str, source: object) -> HWAccel | None:
    """What `av.open` decodes with; None for the processor, and a warning where something else was wanted.

    Args:
        wanted: As in `movinet.video.camera.live_source.LiveSource`.
        source: For the warning.
    """
    if wanted is False:
        return None
    kinds = _BEST.get(sys.platform, _ELSEWHERE) if wanted is True or wanted == "auto" else (wanted,)
    name = without_password(source)
    whys = [(kind, _hindrance(kind)) for kind in kinds]
    usable = next((kind for kind, why in whys if why is None), None)
    if usable is None:
        logger.warning(
            "%s: decoded by the processor, hardware is not to be had (%s)",
            name,
            ", ".join(f"{kind}: {why}" for kind, why in whys),
        )
        return None
    return HWAccel(usable, allow_software_fallback=True)


def tell_used(context: av.VideoCodecContext, hardware: HWAccel | None, name: str) -> None:
    """A warning where hardware was there, but is of no use for this video."""
    if hardware is not None and not context.is_hwaccel:
        logger.warning("%s: decoded by the processor: the hardware has nothing for %s", name, context.name)


@lru_cache
def _hindrance(kind: str) -> str | None:
    """Why a kind of hardware cannot be used here; None where it can."""
    if kind not in hwdevices_available():
        return f"not in this PyAV, which has {', '.join(hwdevices_available()) or 'none'}"
    try:
        context = av.CodecContext.create("h264", "r", hwaccel=HWAccel(kind, allow_software_fallback=True))
        assert isinstance(context, av.VideoCodecContext)
        return None if context.is_hwaccel else "decodes no H.264 here"
    except Exception as error:  # of whatever kind FFmpeg, PyAV or a driver thinks fit
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
