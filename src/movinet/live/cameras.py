"""Cameras as a file describes them, or the command line: where each is, and how it is watched."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError
from movinet.events import EventDetector, EventRules
from movinet.video.camera.devices import camera_number
from movinet.video.crop import Crop
from movinet.video.locations import Track
from movinet.video.net.credentials import (
    Credentials,
    open_to_others,
    read_password,
    read_secret_yaml,
    with_login,
)
from movinet.video.net.login import Address, Login
from movinet.video.net.sources import without_password
from movinet.weights.info import WeightsInfo
from movinet.weights.operating_point import Thresholds

_MOST = 1000  # cameras in a file
_SECRET_ENTRIES = ("address", "substream", "user", "password", "webhook")
_FROM = ("password", "password_env", "password_file", "login")  # where a password may be


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One source and how it is watched. What is None is as the command line says.

    Args:
        address: `rtsp://`, `http://`, …, a camera's number, or a file.
        name: In everything that is told; by default the address, without its login.
        substream: What is watched in place of the address: the camera's small picture, as an address, or as a path at
            the same host with the same login (`/Streaming/Channels/102`).
        transport: How an RTSP server is asked to send: tcp, udp or http.
        user: Of the camera.
        password: Better in one of the three that follow.
        password_env: The environment's variable that has it.
        password_file: The file that holds it and nothing else.
        login: The entry of `--credentials` that has both user and password.
        hardware: What decodes: false for the processor, `auto`, or a kind of hardware.
        stream: Of several video tracks, the one with this number.
        loop: Begin again at the end of a file.
        timeout: Seconds without a picture after which it counts as lost.
        retries: Failed attempts in a row after which it is given up.
        max_lag: Seconds it may lag before pictures are left out.
        crop: The part of the picture that is looked at.
        motion_gate: Whether the network is spared while nothing moves.
        model: What recognizes.
        labels: A file with one label a line, for a model that brings none.
        memory: Seconds after which a frame hardly counts any more; 0 for never.
        on, off, shortest: When an event begins, when it ends, and how short it may be.
        ignore: Labels that are no events.
        by_label: Other thresholds for some labels.
        on_event: A command that is run with every event.
        webhook: An address that every event is posted to.
        record: Whether clips around its events are recorded, where any are.
    """

    address: str | int
    name: str | None = None
    substream: str | None = None
    transport: Literal["tcp", "udp", "http"] | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    password_env: str | None = None
    password_file: str | None = None
    login: str | None = None
    hardware: bool | str | None = None
    stream: int | None = None
    loop: bool | None = None
    timeout: float | None = None
    retries: int | None = None
    max_lag: float | None = None
    crop: Crop | None = None
    motion_gate: bool | None = None
    model: str | None = None
    labels: str | None = None
    memory: float | None = None
    on: float | None = None
    off: float | None = None
    shortest: float | None = None
    ignore: tuple[str, ...] | None = None
    by_label: dict[str, Thresholds] = field(default_factory=dict)
    on_event: str | None = None
    webhook: str | None = None
    record: bool | None = None

    def __post_init__(self) -> None:
        if self.address == "" or self.name == "":
            raise MovinetError("address and name must not be empty")
        if isinstance(self.address, int) and self.address < 0:
            raise MovinetError(f"address is {self.address}; cameras' numbers begin at 0")
        for name in ("timeout", "max_lag"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise MovinetError(f"{name} is {value}; want seconds, more than 0")
        for name in ("memory", "shortest", "retries", "stream"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < inf:
                raise MovinetError(f"{name} is {value}; it must be at least 0")
        given = [entry for entry in _FROM if getattr(self, entry) is not None]
        if len(given) > 1:
            raise MovinetError(f"the password is said twice, by {given[0]} and {given[1]}")
        if self.login is not None and self.user is not None:
            raise MovinetError("user and login: the entry that login names has a user of its own")

    def __repr__(self) -> str:
        return f"Camera({self.shown!r})"

    @property
    def shown(self) -> str:
        """Its name, or its address as it may be shown."""
        return self.name if self.name is not None else without_password(self.address)

    def filled(self, defaults: Mapping[str, Any]) -> "Camera":
        """With what it leaves open as `defaults` say.

        Raises:
            MovinetError: Thresholds of both together make no sense.
        """
        left = {f.name: defaults[f.name] for f in fields(self) if f.name in defaults and getattr(self, f.name) is None}
        camera = replace(self, **left)
        for label, own in (("", Thresholds()), *camera.by_label.items()):
            on, off = own.on or camera.on, own.off or camera.off
            if on is not None and off is not None and not 0 < off < on <= 1:
                of = f"{label}: " if label else ""
                raise MovinetError(f"{camera.shown}: {of}want 0 < off < on <= 1, got on={on} and off={off}")
        return camera

    def detector(self, info: WeightsInfo) -> EventDetector:
        """What turns a network's predictions into events: by the network's own thresholds, where it leaves them open.

        Raises:
            MovinetError: The thresholds make no sense, or are of labels that the network does not have.
        """
        rules = EventRules(self.on, self.off, self.shortest, self.ignore, self.by_label)
        return rules.detector(info, self.shown)

    @property
    def has_own_thresholds(self) -> bool:
        """Whether it says itself when events begin or end."""
        return self.on is not None or self.off is not None or self.shortest is not None or bool(self.by_label)

    def source(
        self, credentials: Credentials | None = None, environment: Mapping[str, str] = os.environ
    ) -> str | Address | Track:
        """What to open, with its login.

        Raises:
            MovinetError: The login is nowhere, or the address may be read in two ways.
        """
        opened = self._opened(credentials or Credentials(), environment)
        if self.stream is None:
            return opened
        if camera_number(str(self.address)) is not None:
            raise MovinetError(f"{self.shown}: stream {self.stream}: a camera has one; leave it out")
        return Track(opened, self.stream)

    def _opened(self, credentials: Credentials, environment: Mapping[str, str]) -> str | Address:
        text = str(self.address)
        if "://" not in text:
            if self.substream is not None:
                raise MovinetError(f"{self.shown}: a substream needs an address at a camera, such as rtsp://…")
            return text
        address = Address.of(text)
        if self.substream is not None:
            address = self._other(address, self.substream)
        if address.login is not None:
            return address
        if own := self._own_login(credentials, environment):
            return replace(address, login=own)
        address = with_login(address, self.name, credentials, environment)
        if self.user is not None and address.login is not None:
            address = replace(address, login=Login(self.user, address.login.password))
        return address

    def _other(self, address: Address, substream: str) -> Address:
        if "://" in substream:
            other = Address.of(substream)
            same = urlsplit(other.url).netloc == urlsplit(address.url).netloc
            return replace(other, login=address.login) if other.login is None and same else other
        if not substream.startswith(("/", "?")):
            raise MovinetError(f"{self.shown}: substream: want an address, or what follows the host: /… or ?…")
        parts = urlsplit(address.url)
        path = f"{parts.path}{substream}" if substream.startswith("?") else substream
        return replace(address, url=f"{parts.scheme}://{parts.netloc}{path}")

    def _own_login(self, credentials: Credentials, environment: Mapping[str, str]) -> Login | None:
        if self.login is not None:
            found = credentials.of_name(self.login)
            if found is None:
                raise MovinetError(
                    f"{self.shown}: there is no login {self.login!r} in the credentials; --credentials FILE has them"
                )
            return found
        password = self.password
        if self.password_env is not None:
            password = environment.get(self.password_env)
            if password is None:
                raise MovinetError(f"{self.shown}: the environment has no {self.password_env}, where its password is")
        if self.password_file is not None:
            password = read_password(self.password_file)
        if password is None:
            return None
        return Login(self.user or "", password)


def read_cameras(path: str | Path) -> tuple[Camera, ...]:
    """The cameras in a YAML file: a list of them under `cameras`, with the fields of `Camera`.

    Raises:
        MovinetError: It cannot be read, is something else, or names a camera twice. No message has a password.
    """
    data = read_secret_yaml(path, "list of cameras")
    if not isinstance(data, dict) or not isinstance(data.get("cameras"), list):
        raise MovinetError(f"{path}: want cameras in a list: cameras: [{{name: door, address: rtsp://…}}, …]")
    if others := [str(key) for key in data if key != "cameras"]:
        near = " (did you mean cameras?)" if get_close_matches(others[0], ["cameras"]) else ""
        raise MovinetError(f"{path}: there is no entry {others[0]!r}{near}; there is only `cameras`")
    entries = data["cameras"]
    if not 1 <= len(entries) <= _MOST:
        raise MovinetError(f"{path}: {len(entries)} cameras; want 1 to {_MOST}")
    cameras = tuple(camera_of(entry, f"{path}: cameras[{number}]") for number, entry in enumerate(entries))
    names = Counter(camera.name for camera in cameras if camera.name is not None)
    if twice := [name for name, count in names.items() if count > 1]:
        raise MovinetError(f"{path}: two cameras are called {twice[0]!r}; give each a name of its own")
    return cameras


def camera_of(entry: Any, where: str) -> Camera:
    """One camera, of plain types.

    Raises:
        MovinetError: It is something else. No message has a password.
    """
    if not isinstance(entry, dict):
        raise MovinetError(f"{where}: want a mapping of entries, at least its address: `- address: rtsp://…`")
    if isinstance(name := entry.get("name"), str):
        where += f" ({name[:60]})"
    entry = _with_words(entry)
    for key in _SECRET_ENTRIES:  # whose values no message may have
        if key in entry and not isinstance(entry[key], str | (int if key == "address" else str)):
            raise MovinetError(f"{where}.{key}: want text; set it in quotes")
    try:
        return from_plain(Camera, entry, where)
    except MovinetError as error:
        said = str(error)
        raise MovinetError(said if said.startswith(where) else f"{where}: {said}") from None


def _with_words(entry: dict[Any, Any]) -> dict[Any, Any]:
    """YAML takes the words `on` and `off` for true and false, also where they are names of entries."""
    words = {True: "on", False: "off"}
    return {
        words[key] if isinstance(key, bool) else key: _with_words(value) if isinstance(value, dict) else value
        for key, value in entry.items()
    }


def told_apart(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    """Each with a name that no other has: those that would look alike, as where only the passwords differ, are
    numbered."""
    shown = Counter(camera.shown for camera in cameras)
    taken, count = set(shown), Counter[str]()
    named = []
    for camera in cameras:
        name = camera.shown
        if shown[name] > 1:
            count[name] += 1
            name = f"{camera.shown} #{count[camera.shown]}"
            while name in taken:
                count[camera.shown] += 1
                name = f"{camera.shown} #{count[camera.shown]}"
            taken.add(name)
        named.append(replace(camera, name=name))
    return tuple(named)


def warnings_about(path: str | Path, cameras: Sequence[Camera]) -> list[str]:
    """What to say of passwords that lie open in a file of cameras."""

    def has_one(camera: Camera) -> bool:
        if camera.password is not None:
            return True
        try:
            return "://" in str(camera.address) and Address.of(str(camera.address)).login is not None
        except MovinetError:
            return True

    told = [open_to_others(path)] if any(map(has_one, cameras)) else []
    told += [open_to_others(camera.password_file) for camera in cameras if camera.password_file is not None]
    return [words for words in dict.fromkeys(told) if words]
