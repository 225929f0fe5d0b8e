"""What `movinet watch --check` says: which cameras would be watched, and how, and what of it would go wrong."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from movinet.cli.console import complain, out, print_json, warn
from movinet.dataclass_io import to_plain
from movinet.errors import MovinetError
from movinet.live.cameras import Camera
from movinet.runtime.open_network import open_network
from movinet.video.camera.devices import camera_number
from movinet.video.locations import Source, Track, is_address
from movinet.video.net.login import Address
from movinet.video.net.sources import without_password
from movinet.weights.info import WeightsInfo
from movinet.weights.registry import is_on_hub, lookup

_UNSAID = ("address", "substream", "user", "password", "password_env", "password_file", "login", "webhook", "name")


def show_cameras(cameras: Sequence[Camera], origins: Sequence[Source], as_json: bool) -> int:
    """Print them, one after the other, without their passwords, and what is wrong; opens no camera, downloads nothing.

    Returns:
        The exit code.
    """
    infos: dict[tuple[str, str | None], WeightsInfo | MovinetError] = {}
    wrong: list[MovinetError] = []
    for camera, origin in zip(cameras, origins, strict=True):
        wanted = (str(camera.model), camera.labels)
        if wanted not in infos:
            infos[wanted] = _known(*wanted)
            if isinstance(found := infos[wanted], MovinetError):
                (wrong.append if not _comes_later(camera) else _say_later)(found)
        info = infos[wanted]
        try:
            _check_file(camera, origin)
            thresholds = {} if isinstance(info, MovinetError) else _thresholds(camera, info)
        except MovinetError as error:
            wrong.append(error)
            thresholds = {}
        about = _about(camera, origin) | thresholds
        if as_json:
            print_json({"type": "camera", **about})
            continue
        out.print(Text(camera.shown, "bold"))
        for key, value in _lines(about):
            out.print(Text.assemble(f"  {key:12} ", value))
    for one in wrong:
        complain(one)
    return 2 if wrong else 0


def _known(model: str, labels: str | None) -> WeightsInfo | MovinetError:
    """What is known of a network without downloading it, or why nothing is."""
    try:
        return open_network(model, labels=labels, offline=True).info
    except MovinetError as error:
        return error


def _comes_later(camera: Camera) -> bool:
    """Whether its network may be downloaded when it is watched."""
    return is_on_hub(str(camera.model)) or ((entry := lookup(str(camera.model))) is not None and entry.bundled is None)


def _say_later(error: MovinetError) -> None:
    warn(f"its labels are not checked: {error}")


def _check_file(camera: Camera, origin: Source) -> None:
    """Raises MovinetError where a file that is to be watched is not there."""
    path = origin.source if isinstance(origin, Track) else origin
    is_file = isinstance(path, str | Path) and camera_number(str(path)) is None and not is_address(str(path))
    if is_file and not Path(str(path)).exists():
        raise MovinetError(f"{camera.shown}: no such file")


def _thresholds(camera: Camera, info: WeightsInfo) -> dict[str, Any]:
    """When its events begin and end; the network's own where it leaves them open."""
    detector = camera.detector(info)
    return {
        "on": detector.on,
        "off": detector.off,
        "shortest": detector.shortest,
        "ignore": sorted(detector.ignore),
    }


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
