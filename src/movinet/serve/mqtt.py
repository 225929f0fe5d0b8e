"""Events and states for home and factory systems, over MQTT; sources describe themselves to Home Assistant.

Under `topic` (by default `movinet`): `status` (online, offline), and of every source `SOURCE/available`,
`SOURCE/state` (what runs, kept by the broker) and `SOURCE/event` (as a line of `watch --json`).
"""

import hashlib
import logging
import os
import re
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from movinet.errors import MovinetError, needs_extra
from movinet.events import Event
from movinet.files import dump_json
from movinet.live.json_lines import as_json, iso
from movinet.live.report import Begun, Changed, Ended, Over, Report, Seen
from movinet.serve.settings import Broker
from movinet.video.net.credentials import read_password

logger = logging.getLogger(__name__)

_QUEUED = 1000  # messages that wait for a broker
_KEEP_ALIVE = 30  # seconds
_PAUSES = (1, 60)  # seconds before the broker is tried again
_LEAVE_WITHIN = 2.0


class Mqtt:
    """Tells a broker; a context manager. Nothing here waits for it: what it does not take in time is left out.

    Args:
        broker: which, and how.
        version: of movinet, for Home Assistant.

    Raises:
        MovinetError: paho-mqtt is not installed, or the password is nowhere.
    """

    def __init__(self, broker: Broker, version: str, environment: Mapping[str, str] = os.environ) -> None:
        with needs_extra("mqtt"):
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        self._broker, self._version = broker, version
        self._running: dict[str, dict[tuple[str, float], Event]] = {}  # of each source
        self._available: dict[str, bool] = {}
        self._lock = threading.Lock()
        self.dropped = 0
        """Messages that were left out."""
        self._client = client = Client(CallbackAPIVersion.VERSION2, client_id=f"movinet-{os.urandom(4).hex()}")
        if broker.user is not None:
            client.username_pw_set(broker.user, _password(broker, environment))
        if broker.tls:
            client.tls_set_context(ssl.create_default_context())
        client.max_queued_messages_set(_QUEUED)
        client.reconnect_delay_set(*_PAUSES)
        client.will_set(self._topic("status"), "offline", qos=1, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected

    def __enter__(self) -> Self:
        broker = self._broker
        port = broker.port or (8883 if broker.tls else 1883)
        self._client.connect_async(broker.host, port, _KEEP_ALIVE)
        self._client.loop_start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._client.is_connected():
            last = self._client.publish(self._topic("status"), "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):
                last.wait_for_publish(_LEAVE_WITHIN)
            self._client.disconnect()
        self._client.loop_stop()

    def changed(self, name: str, there: bool) -> None:
        """A source has come, or gone."""
        with self._lock:
            if there:
                self._running.setdefault(name, {})
                self._available.setdefault(name, False)
            else:
                self._running.pop(name, None)
                self._available.pop(name, None)
        if there:
            self._describe(name)
            return
        slug = slug_of(name)
        for topic in (*self._discovery(slug), self._topic(slug, "state"), self._topic(slug, "available")):
            self._publish(topic, "", keep=True)  # which has the broker forget it

    def tell(self, report: Report) -> None:
        """News of a source; never waits."""
        name = report.source
        with self._lock:
            running = self._running.setdefault(name, {})
            available = self._available.get(name, False)
            match report.what:
                case Seen():
                    self._available[name] = True
                case Begun(event):
                    running[event.label, event.start] = event
                case Ended(event):
                    running.pop((event.label, event.start), None)
                case Changed(change):
                    self._available[name] = change.kind != "lost"
                case Over():
                    self._available[name] = False
            now = self._available.get(name, False)
        if now != available:
            self._tell_available(name, now)
        if isinstance(report.what, Begun | Ended):
            self._publish(self._topic(slug_of(name), "event"), dump_json(as_json(report)))
            self._tell_state(name, report.wall)

    def _tell_available(self, name: str, available: bool) -> None:
        self._publish(self._topic(slug_of(name), "available"), "online" if available else "offline", keep=True)

    def _tell_state(self, name: str, wall: float | None = None) -> None:
        with self._lock:
            running = list(self._running.get(name, {}).values())
        newest = max(running, key=lambda event: event.start, default=None)
        state = {
            "event": "OFF" if newest is None else "ON",
            "label": "none" if newest is None else newest.label,
            "labels": sorted(event.label for event in running),
            "confidence": None if newest is None else round(newest.confidence, 6),
            "changed": None if wall is None else iso(wall),
        }
        self._publish(self._topic(slug_of(name), "state"), dump_json(state), keep=True)

    def _describe(self, name: str) -> None:
        """Everything that is kept of a source."""
        slug = slug_of(name)
        for topic, entity in self._discovery(slug, name).items():
            self._publish(topic, dump_json(entity), keep=True)
        self._tell_available(name, self._available.get(name, False))
        self._tell_state(name)

    def _discovery(self, slug: str, name: str = "") -> dict[str, dict[str, Any]]:
        """What Home Assistant is told of a source, by topic."""
        if not self._broker.discovery:
            return {}
        device = {
            "identifiers": [f"movinet_{slug}"],
            "name": name,
            "manufacturer": "movinet",
            "sw_version": self._version,
        }
        shared = {
            "state_topic": self._topic(slug, "state"),
            "json_attributes_topic": self._topic(slug, "state"),
            "availability": [{"topic": self._topic("status")}, {"topic": self._topic(slug, "available")}],
            "availability_mode": "all",
            "device": device,
        }
        entities = {
            ("binary_sensor", "event"): {"name": "Event", "value_template": "{{ value_json.event }}"},
            ("sensor", "label"): {"name": "Label", "value_template": "{{ value_json.label }}"},
        }
        return {
            f"{self._broker.discovery}/{kind}/movinet_{slug}/{what}/config": {
                **own,
                **shared,
                "unique_id": f"movinet_{slug}_{what}",
                "object_id": f"movinet_{slug}_{what}",
            }
            for (kind, what), own in entities.items()
        }

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            logger.warning("mqtt: %s refuses: %s", self._broker.host, reason)
            return
        self._publish(self._topic("status"), "online", keep=True)
        with self._lock:
            names = list(self._running)
        for name in names:
            self._describe(name)

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            logger.warning("mqtt: %s is lost: %s", self._broker.host, reason)

    def _publish(self, topic: str, text: str, keep: bool = False) -> None:
        if not self._client.is_connected() and keep:
            return  # all of it is told on connecting
        told = self._client.publish(topic, text, qos=1, retain=keep)
        self.dropped += told.rc != 0

    def _topic(self, *parts: str) -> str:
        return "/".join((self._broker.topic, *parts))


def slug_of(name: str) -> str:
    """A source's name as a topic: of letters that need no thought, different for different names."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return f"{plain or 'source'}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _password(broker: Broker, environment: Mapping[str, str]) -> str | None:
    if broker.password_file is not None:
        return read_password(broker.password_file)
    if broker.password_env is None:
        return None
    password = environment.get(broker.password_env)
    if password is None:
        raise MovinetError(f"mqtt: the environment has no {broker.password_env}, where the password is")
    return password
