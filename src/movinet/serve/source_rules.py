"""What a source may be that somebody adds from afar: at which hosts, of which fields, within which bounds."""

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from movinet.errors import MovinetError, brief
from movinet.live.cameras import Camera, camera_of
from movinet.serve.settings import Settings
from movinet.video.camera.devices import camera_number
from movinet.video.locations import Source, Track
from movinet.video.net.credentials import Credentials
from movinet.video.net.login import Address
from movinet.video.net.sources import Limits, without_password

FROM_AFAR = (
    *("name", "address", "substream", "transport", "user", "password", "stream", "loop", "timeout", "retries"),
    *("max_lag", "crop", "motion_gate", "model", "memory", "on", "off", "shortest", "ignore", "by_label", "record"),
)
"""The entries of a camera that may come over REST: none names a file, a command, hardware or an address to post to."""

SCHEMES = ("rtsp", "rtsps", "http", "https")
"""Of addresses whose every step can be checked."""

_LONGEST = {"name": 64, "address": 2048, "substream": 2048, "user": 256, "password": 256}
_AT_MOST = {"timeout": 120.0, "retries": 1_000_000, "max_lag": 60.0, "stream": 1000, "memory": 1e6, "shortest": 3600.0}
_MOST_LABELS = 1000
_MOST_FILES = 1000


def source_from(entry: Any, settings: Settings, where: str = "source") -> Camera:
    """The source that an entry describes, if it may be added.

    Raises:
        MovinetError: it makes no sense, or may not; the message says why, and has no password.
    """
    if not isinstance(entry, dict):
        raise MovinetError(f"{where}: want an object with a name and an address")
    for key in entry:
        if key not in FROM_AFAR:
            near = get_close_matches(str(key), FROM_AFAR, n=1)
            known = {field.name for field in fields(Camera)}
            why = "may not be said from afar" if key in known else "there is no such entry"
            raise MovinetError(f"{where}.{brief(key, 40)}: {why}{f'; did you mean {near[0]}?' if near else ''}")
    for key, most in _LONGEST.items():
        if isinstance(entry.get(key), str) and len(entry[key]) > most:
            raise MovinetError(f"{where}.{key}: longer than {most} characters")
    camera = camera_of(entry, where)
    camera = replace(camera, address=str(camera.address))
    for key, limit in _AT_MOST.items():
        value = getattr(camera, key)
        if value is not None and value > limit:
            raise MovinetError(f"{where}.{key}: {value} is more than {limit:g}")
    if len(camera.ignore or ()) > _MOST_LABELS or len(camera.by_label) > _MOST_LABELS:
        raise MovinetError(f"{where}: thresholds of more than {_MOST_LABELS} labels")
    name = camera.name
    if name is None or not name.isprintable() or "/" in name or name != name.strip() or name in (".", ".."):
        raise MovinetError(f"{where}.name: want 1 to 64 letters that can be printed, without /")
    if camera.transport == "udp" and not settings.udp:
        raise MovinetError(f"{where}.transport: udp is not allowed here (udp: true in the server's settings)")
    origin_of(camera, settings)
    return camera


def origin_of(camera: Camera, settings: Settings) -> Source:
    """What is opened for a source: an address at an allowed host with its login, a file of the allowed folder, or an
    allowed camera of this machine.

    Raises:
        MovinetError: it may not be.
    """
    address = str(camera.address)
    if (number := camera_number(address)) is not None:
        return _own_camera(camera, number, settings)
    if "://" not in address:
        return _file(camera, address, settings)
    # Logins of this machine's environment are not for whoever adds a source.
    opened = camera.source(Credentials(), {})
    inner = opened.source if isinstance(opened, Track) else opened
    url = inner.url if isinstance(inner, Address) else str(inner)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower().rstrip(".")
        _ = parts.port
    except ValueError:
        raise MovinetError(f"address: {without_password(url)!r} is none") from None
    if parts.scheme not in SCHEMES:
        raise MovinetError(f"address: want {', '.join(f'{scheme}://' for scheme in SCHEMES)}, or the name of a file")
    if not is_allowed(host, settings):
        raise MovinetError(
            f"address: the host {brief(host)} is not allowed; whoever runs the server allows hosts with --source-host"
        )
    return opened


def is_allowed(host: str, settings: Settings) -> bool:
    """Whether sources may be at a host: it is listed by name, pattern or number, or a number in a listed network."""
    if any(fnmatchcase(host, pattern.lower()) for pattern in settings.source_names):
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False  # also 127.1 and 2130706433, which resolvers take for numbers
    return any(ip in ip_network(network) for network in settings.private_networks)


def limits_of(settings: Settings) -> Limits:
    """What opening a source may reach: allowed hosts, and private addresses only in listed networks."""
    return Limits(hosts=settings.source_names, private_networks=False, networks=settings.private_networks)


def list_files(settings: Settings) -> list[str]:
    """Names of the files that may be sources, at most a thousand."""
    if settings.files is None:
        return []
    names = []
    try:
        with os.scandir(settings.files) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".") and entry.name.isprintable():
                    names.append(entry.name)
                if len(names) == _MOST_FILES:
                    break
    except OSError as error:
        raise MovinetError(f"files: the folder cannot be read: {error.strerror or error}") from None
    return sorted(names)


def _own_camera(camera: Camera, number: int, settings: Settings) -> Source:
    if number not in settings.cameras:
        raise MovinetError(
            f"address: camera {number} of the server's machine is not allowed; whoever runs the server allows it with "
            f"--camera {number}"
        )
    if camera.stream is not None:
        raise MovinetError(f"stream {camera.stream}: a camera has one; leave it out")
    return str(number)


def _file(camera: Camera, name: str, settings: Settings) -> Source:
    if settings.files is None:
        raise MovinetError("address: want rtsp://… or http://…; files are not allowed here (--files FOLDER)")
    if name not in list_files(settings):  # nothing is joined that was not found there
        raise MovinetError(f"address: there is no file {brief(name)} in the folder that may be used")
    path = str(Path(settings.files) / name)
    return path if camera.stream is None else Track(path, camera.stream)


def with_password_kept(entry: Mapping[str, Any], before: Camera) -> dict[str, Any]:
    """An entry that replaces a source, with the password that it leaves out where it stays at its address."""
    entry = dict(entry)
    same = isinstance(entry.get("address"), str) and entry["address"] in (before.address, shown_address(before))
    if same:
        entry["address"] = before.address
        if "password" not in entry and entry.get("user", before.user) == before.user and before.password is not None:
            entry.update(user=before.user, password=before.password)
    return {key: value for key, value in entry.items() if value is not None}


def shown_address(camera: Camera) -> str:
    """As everyone may see it."""
    return without_password(camera.address)


def named(camera: Camera, model: str) -> Camera:
    """With its model said."""
    return replace(camera, model=model)
