"""How a server is set up: one frozen description, from options or a YAML file. docs/serve.md has it as a table."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from math import inf
from pathlib import Path
from typing import Any

from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError
from movinet.live.recording import Recording, options_said
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.video.net.credentials import read_secret_yaml

DEFAULT_MODEL = "movinet_t0_stream.gestures"


@dataclass(frozen=True)
class Bounds:
    """What one client, one source, and all together may use. None is without an end.

    Args:
        connections: open at once, of every kind.
        sources: server-side, at once.
        listeners: of `/api/events` at once.
        side: pixels of the longer side of a picture that a client sends.
        message: bytes of a WebSocket message.
        body: bytes of a request's body.
        headers: bytes of a request's first line and headers.
        open_within: seconds until a new connection has said what it wants, its body included.
        send_within: seconds that a client may take to read what it is sent.
        idle: seconds of a WebSocket stream without a message.
        drain: seconds for what runs, when the server stops.
    """

    connections: int = 512
    sources: int = 64
    listeners: int = 64
    side: int = 640
    message: int = 1 << 18
    body: int = 1 << 16
    headers: int = 1 << 14
    open_within: float = 10.0
    send_within: float = 15.0
    idle: float = 120.0
    drain: float = 5.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be more than 0, and not endless")


@dataclass(frozen=True)
class Hook:
    """An address that events of server-side sources are posted to, and what becomes of those sources.

    Args:
        address: http:// or https://; a login in it goes along, and is shown nowhere.
        secret_file: a file that holds what posts are signed with, and nothing else.
        secret_env: or the environment's variable that has it.
    """

    address: str = field(repr=False)
    secret_file: str | None = None
    secret_env: str | None = None

    def __post_init__(self) -> None:
        if self.secret_file is not None and self.secret_env is not None:
            raise MovinetError("a webhook's secret is said twice, by secret_file and secret_env")


@dataclass(frozen=True)
class Broker:
    """An MQTT broker that is told of events and states.

    Args:
        host: of the broker.
        port: 8883 with TLS and 1883 without, by default.
        tls: whether the connection is encrypted, and the broker's certificate checked.
        user: of the broker.
        password_file: a file that holds the password and nothing else.
        password_env: or the environment's variable that has it.
        topic: under which everything is told.
        discovery: Home Assistant's prefix, under which sources describe themselves; empty for none.
    """

    host: str
    port: int | None = None
    tls: bool = False
    user: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    topic: str = "movinet"
    discovery: str = "homeassistant"

    def __post_init__(self) -> None:
        for name in ("topic", "discovery"):
            if any(c in getattr(self, name) for c in "+#\0"):
                raise MovinetError(f"mqtt: {name} must have none of + # in it")
        if not self.topic:
            raise MovinetError("mqtt: topic must not be empty")


@dataclass(frozen=True)
class Clips:
    """Clips around events of server-side sources, as the cameras sent them; see `movinet.live.recording.Recording`.

    Args:
        folder: made where it is not there.
        before, after: seconds around an event.
        longest: seconds of a clip.
        days: after which clips are deleted.
        gigabytes: that all clips may take; the oldest go first.
    """

    folder: str
    before: float = 5.0
    after: float = 5.0
    longest: float = 300.0
    days: float = 30.0
    gigabytes: float = 10.0

    def __post_init__(self) -> None:
        self.recording()

    def recording(self) -> Recording:
        """The same for what records.

        Raises:
            MovinetError: it makes no sense.
        """
        return Recording(Path(self.folder), self.before, self.after, self.longest, self.days, self.gigabytes)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a server needs to know.

    Args:
        host: where it listens; beyond this machine only with tokens.
        port: where it listens.
        state: a folder for tokens and sources; by default one of the user's.
        models: names or files of stream networks that clients may choose among; the first is the default.
        labels: a file with one label a line, for a model that brings none.
        max_streams: of each model, sockets and sources together.
        engine, precision, fast, threads, batch: how networks run, as of `movinet watch`.
        tls_certificate, tls_key: files in PEM format; https with both.
        names: by which this server is called, beside its numbers and localhost.
        origins: pages elsewhere that may use it, such as `https://example.org`.
        source_hosts: that sources may be at: names, `*.example.com`, numbers, or networks such as `192.168.1.0/24`.
            Private addresses only where a number or network says so, whatever a name leads to.
        udp: whether RTSP sources may send beside the connection.
        files: a folder whose videos may be sources.
        cameras: of this machine that may be sources, by their numbers.
        clips: where and how clips around events are kept; none by default.
        webhooks, mqtt: who is told of events.
        bounds: of everything.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    state: str | None = None
    models: tuple[str, ...] = (DEFAULT_MODEL,)
    labels: str | None = None
    max_streams: int = 64
    engine: EngineKind = "auto"
    precision: Precision = "float32"
    fast: bool = False
    threads: int = 1
    batch: int | None = None
    offline: bool = False
    tls_certificate: str | None = None
    tls_key: str | None = None
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    source_hosts: tuple[str, ...] = ()
    udp: bool = False
    files: str | None = None
    cameras: tuple[int, ...] = ()
    clips: Clips | None = None
    webhooks: tuple[Hook, ...] = ()
    mqtt: Broker | None = None
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise MovinetError(f"port is {self.port}; ports are 1 to 65535, and 0 is any that is free")
        if not 1 <= self.max_streams <= 100_000:
            raise MovinetError(f"max_streams is {self.max_streams}; want 1 to 100000")
        if not self.models or len(set(self.models)) < len(self.models):
            raise MovinetError("models: want at least one, and each once")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise MovinetError("tls_certificate and tls_key belong together: give both, or neither")
        if any(number < 0 for number in self.cameras):
            raise MovinetError(f"cameras: {min(self.cameras)} is none; their numbers begin at 0")
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")) or origin.endswith("/"):
                raise MovinetError(f"origins: {origin!r} is none: want such as https://example.org")
        for host in self.source_hosts:
            if "/" in host:
                try:
                    ip_network(host)
                except ValueError as error:
                    raise MovinetError(f"source_hosts: {error}") from None

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.tls_certificate is not None

    @property
    def private_networks(self) -> tuple[str, ...]:
        """Networks that sources may be in: those listed, and numbers as networks of one."""
        return tuple(host for host in self.source_hosts if _is_network(host))

    @property
    def source_names(self) -> tuple[str, ...]:
        """Names, patterns and numbers of hosts that sources may be at."""
        return tuple(host for host in self.source_hosts if "/" not in host)

    @property
    def is_local(self) -> bool:
        """Whether it listens on this machine alone."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens at all addresses of this machine."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False


def read_settings(path: str | Path) -> Settings:
    """A server's YAML file, with the fields of `Settings`.

    Raises:
        MovinetError: it cannot be read, or is something else. No message quotes it: it may hold passwords.
    """
    data = read_secret_yaml(path, "server's settings")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise MovinetError(f"{path}: want entries, such as port: 8765")
    for number, hook in enumerate(data.get("webhooks") or ()):
        if isinstance(hook, dict) and not isinstance(hook.get("address"), str):
            raise MovinetError(f"{path}: webhooks[{number}].address: want text; set it in quotes")
    return from_plain(Settings, data, str(path))


def with_options(settings: Settings, given: dict[str, Any]) -> Settings:
    """With what was said on the command line, where it was."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def with_clips(settings: Settings, given: dict[str, Any]) -> Settings:
    """With what was said on the command line of the fields of `Clips`, where it was.

    Raises:
        MovinetError: it makes no sense, or no folder is said.
    """
    said = options_said(given, is_kept=settings.clips is not None)
    if not said:
        return settings
    return replace(settings, clips=Clips(**said) if settings.clips is None else replace(settings.clips, **said))


def _is_network(host: str) -> bool:
    try:
        ip_network(host)
    except ValueError:
        return False
    return True
