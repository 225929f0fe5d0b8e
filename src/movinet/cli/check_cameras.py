"""What `movinet watch --check` says: which cameras would be watched, and how."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from movinet.cli.console import out, print_json
from movinet.dataclass_io import to_plain
from movinet.live.cameras import Camera
from movinet.video.locations import Source, Track
from movinet.video.net.login import Address
from movinet.video.net.sources import without_password

_UNSAID = ("address", "substream", "user", "password", "password_env", "password_file", "login", "webhook", "name")


def show_cameras(cameras: Sequence[Camera], origins: Sequence[Source], as_json: bool) -> None:
    """Print them, one after the other, without their passwords."""
    for camera, origin in zip(cameras, origins, strict=True):
        about = _about(camera, origin)
        if as_json:
            print_json({"type": "camera", **about})
            continue
        out.print(Text(camera.shown, "bold"))
        for key, value in _lines(about):
            out.print(Text.assemble(f"  {key:12} ", value))


def _about(camera: Camera, origin: Source) -> dict[str, Any]:
    inner = origin.source if isinstance(origin, Track) else origin
    said = {key: value for key, value in to_plain(camera).items() if key not in _UNSAID}
    webhook = {} if camera.webhook is None else {"webhook": without_password(camera.webhook)}
    login = isinstance(inner, Address) and inner.login is not None
    return {"name": camera.shown, "address": without_password(inner), "has_login": login, **said, **webhook}


def _lines(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    login = ", with a login" if about["has_login"] else ""
    yield "address", f"{about['address']}{login}"
    for key, value in about.items():
        if key in ("name", "address", "has_login") or value in ([], {}, None):
            continue
        yield key, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
