"""Users and passwords that stand elsewhere than in addresses: in a file of their own, or in the environment."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError, brief
from movinet.reading import read_yaml
from movinet.video.net.login import Address, Login

_USER, _PASSWORD = "MOVINET_USER", "MOVINET_PASSWORD"
_SECRET = (_USER, _PASSWORD, "MOVINET_WEBHOOK_HEADER", "MOVINET_WEBHOOK_SECRET")
_WITH_LOGINS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}  # usual ports


@dataclass(frozen=True, repr=False)
class _Entry:
    user: str
    password: str = ""


@dataclass(frozen=True, repr=False)
class Credentials:
    """Logins by whose they are: a camera's name, `host:port` or `host`. Never shown."""

    logins: Mapping[str, Login] = field(default_factory=dict)

    def of_name(self, name: str) -> Login | None:
        """The login of a camera."""
        return self.logins.get(name)

    def of_host(self, url: str) -> Login | None:
        """The login of whatever an address leads to."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return None  # no address: whoever opens it will say so
        port = port or {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}.get(
            parts.scheme
        )
        bare = f"[{host}]" if ":" in host else host
        keys = {key.lower(): login for key, login in self.logins.items()}
        return keys.get(f"{bare}:{port}") or keys.get(bare) or keys.get(host)


def read_credentials(path: str | Path) -> Credentials:
    """The logins in a YAML file: `camera.local: {user: admin, password: "…"}` for every name, `host:port` or host.

    Raises:
        MovinetError: It cannot be read, or is something else. Values are in no message.
    """
    data = read_secret_yaml(path, "credentials")
    if not isinstance(data, dict):
        raise MovinetError(f"{path}: want a login for each camera, by its name or host: {_EXAMPLE}")
    logins = {}
    for key, entry in data.items():
        where = f"{path}: {brief(key)}"
        if not isinstance(key, str):
            raise MovinetError(f"{where}: want the name or host of a camera, which is text; set it in quotes")
        if not isinstance(entry, dict):
            raise MovinetError(f"{where}: want a user and a password: {_EXAMPLE}")
        for said, value in entry.items():
            if said in ("user", "password") and not isinstance(value, str):  # brief(value) would be in the message
                raise MovinetError(f"{where}: the {said} is no text: set it in quotes")
        read = from_plain(_Entry, entry, where)
        logins[key] = Login(read.user, read.password)
    return Credentials(logins)


def read_secret_yaml(path: str | Path, what: str) -> Any:
    """As `movinet.reading.read_yaml`, but no message quotes the file, which may hold passwords.

    Raises:
        MovinetError: It cannot be read, is no text or not such YAML.
    """
    try:
        return read_yaml(path, what)
    except MovinetError as error:
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, OSError):
                raise
            if mark := getattr(inner, "problem_mark", None):
                where = f"line {mark.line + 1}, column {mark.column + 1}: "
                break
            inner = inner.__cause__
        else:
            where = ""
    raise MovinetError(
        f"{path}: {where}not YAML that can be read; what stands there is not shown: it may be a password"
    )


_EXAMPLE = 'camera.local: {user: admin, password: "…"}'


def read_password(path: str | Path) -> str:
    """The password that a file holds and nothing else, such as a secret that a container is given; one line end behind
    it does not count.

    Raises:
        MovinetError: It cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(4097)
    except OSError as error:
        raise MovinetError(f"{path}: cannot read the password: {error.strerror or error}") from error
    except ValueError:
        raise MovinetError(f"{path}: cannot read the password: not a text") from None
    if len(text) > 4096:
        raise MovinetError(f"{path}: longer than 4096 characters, which is no password")
    return text.removesuffix("\n").removesuffix("\r")


def open_to_others(path: str | Path) -> str | None:
    """What to say about a file of secrets that other users of this machine can read; None where they cannot, or where
    the system keeps no such thing (Windows)."""
    if os.name != "posix":
        return None
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode) or not mode & 0o077:
        return None
    return f"{path} holds passwords and other users can read it: chmod 600 {path}"


def login_in_environment(name: str | None, environment: Mapping[str, str] = os.environ) -> Login | None:
    """The login that the environment has for a camera by its name (`MOVINET_PASSWORD_FRONT_DOOR` for "front door", with
    `MOVINET_USER_FRONT_DOOR` or `MOVINET_USER`), or for all: `MOVINET_USER` and `MOVINET_PASSWORD`."""
    if name is None:
        user, password = environment.get(_USER), environment.get(_PASSWORD)
    else:
        suffix = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()
        user = environment.get(f"{_USER}_{suffix}") or environment.get(_USER)
        password = environment.get(f"{_PASSWORD}_{suffix}")
    if password is None and (name is not None or user is None):
        return None
    return Login(user or "", password or "")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for programs that need no camera's login."""
    return {key: value for key, value in environment.items() if not key.upper().startswith(_SECRET)}


def with_login(
    address: Address,
    name: str | None = None,
    credentials: Credentials | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Address:
    """An address with the login that is meant for it.

    What is nearer to the camera counts: the login in the address itself; the environment's for this name; the file's
    for this name, for `host:port`, for the host; the environment's for all.

    Args:
        address: Of any kind; protocols that know no logins (`udp`, `srt`, …) get none.
        name: Of the camera, where it has one.
        credentials: From a file.
        environment: Where `MOVINET_USER`, `MOVINET_PASSWORD` and their like are looked for.
    """
    if address.login is not None or address.url.partition("://")[0].lower() not in _WITH_LOGINS:
        return address
    credentials = credentials or Credentials()
    login = (login_in_environment(name, environment) or credentials.of_name(name)) if name is not None else None
    return replace(address, login=login or credentials.of_host(address.url) or login_in_environment(None, environment))
