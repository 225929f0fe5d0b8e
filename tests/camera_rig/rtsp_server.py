"""An RTSP camera on loopback: RTP over the connection itself or over UDP, logins, and faults by control of the test.

with RtspCamera(film()) as camera:
    av.open(camera.url())
    camera.faults.frozen = True
"""

import base64
import hashlib
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote

from camera_rig.camera import Camera
from camera_rig.footage import Footage
from camera_rig.rtp import PICTURE_CLOCK, PICTURES, SOUND, SOUND_CLOCK, Track, description, picture_payloads

_REALM, _NONCE = "camera", "5f1e0c"
_REPORT_EVERY = 5.0  # seconds
_RTP_HEAD = 14  # bytes of a packet that damage spares: RTP's own, and what kind of unit follows


class RtspCamera(Camera):
    """A camera with a server; a context manager.

    Args:
        footage: What it shows: h264 or hevc.
        transports: How it sends: "tcp" (within the connection), "udp", or both.
        user, password: Who may look; anybody where there is no user.
        digest: Asks for a digest login instead of a basic one.
        sound: Has a second track, of silence.
        port: 0 for any.
        send_buffer: Bytes the system keeps for a client that does not read; None for the system's own choice.
    """

    def __init__(
        self,
        footage: Footage,
        *,
        transports: Sequence[str] = ("tcp", "udp"),
        user: str = "",
        password: str = "",
        digest: bool = False,
        sound: bool = False,
        port: int = 0,
        send_buffer: int | None = None,
    ) -> None:
        super().__init__(footage, user=user, password=password)
        self.transports, self.digest, self.sound, self.send_buffer = transports, digest, sound, send_buffer
        self.port = port
        self.asked: list[str] = []
        """The methods clients used, in order."""
        self._listener: socket.socket | None = None
        self._clients: set[_Client] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def url(self, path: str = "/live", *, login: bool = True) -> str:
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if login and self.user else ""
        return f"rtsp://{who}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Listen; after `kill` at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def kill(self) -> None:
        """Hang up on everybody and listen no more, as when the power fails."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.hang_up()

    def hang_up(self) -> None:
        """End the connections there are, and go on listening."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.close()
        for client in clients:
            client.thread.join(2)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            client = _Client(self, connection)
            with self._lock:
                self._clients.add(client)
            client.thread.start()

    def left(self, client: "_Client") -> None:
        with self._lock:
            self._clients.discard(client)


@dataclass
class _Path:
    """How one track goes to a client: `send(packet, kind)`, of kind 0 for RTP and 1 for RTCP."""

    track: Track
    send: Callable[[Sequence[bytes], int], None]
    opened: list[socket.socket] = field(default_factory=list)


class _Client:
    def __init__(self, camera: RtspCamera, connection: socket.socket) -> None:
        self.camera, self.connection = camera, connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if camera.send_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, camera.send_buffer)
        self.gone = threading.Event()
        self.thread = threading.Thread(target=self._converse, daemon=True)
        self._paths: dict[str, _Path] = {}
        self._writing = threading.Lock()

    def close(self) -> None:
        self.gone.set()
        with suppress(OSError):  # it may have gone already
            self.connection.shutdown(socket.SHUT_RDWR)

    def _converse(self) -> None:
        pump: threading.Thread | None = None
        try:
            with self.connection, self.connection.makefile("rb") as incoming:
                while (request := _next_request(incoming)) is not None:
                    method, uri, headers = request
                    self.camera.asked.append(method)
                    self.camera.answer_in_time(self.gone)
                    if self.gone.is_set():
                        return
                    self._write([self._answer(method, uri, headers)])
                    if method == "PLAY" and pump is None:
                        pump = threading.Thread(target=self._pump, daemon=True)
                        pump.start()
                    if method == "TEARDOWN":
                        return
        except (OSError, ValueError):
            pass  # the client has gone, or says what is no RTSP
        finally:
            self.close()
            if pump is not None:
                pump.join(2)
            for path in self._paths.values():
                for opened in path.opened:
                    opened.close()
            self.camera.left(self)

    def _answer(self, method: str, uri: str, headers: dict[str, str]) -> bytes:
        status, fields, body = "200 OK", {}, ""
        if method == "OPTIONS":
            fields["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
        elif not self._may_look(method, headers.get("authorization", "")):
            status = "401 Unauthorized"
            fields["WWW-Authenticate"] = (
                f'Digest realm="{_REALM}", nonce="{_NONCE}"' if self.camera.digest else f'Basic realm="{_REALM}"'
            )
        elif method == "DESCRIBE":
            fields |= {"Content-Base": uri.rstrip("/") + "/", "Content-Type": "application/sdp"}
            body = description(self.camera.footage, self.camera.sound)
        elif method == "SETUP":
            transport = self._set_up(uri.rpartition("/")[2], headers.get("transport", ""))
            if transport is None:
                status = "461 Unsupported Transport"
            else:
                fields |= {"Transport": transport, "Session": "20;timeout=60"}
        elif method == "PLAY":
            fields |= {"Session": "20", "Range": "npt=now-"}
        lines = [f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()

    def _may_look(self, method: str, answer: str) -> bool:
        user, password = self.camera.user, self.camera.password
        if not user:
            return True
        if not self.camera.digest:
            return answer == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        said = dict(re.findall(r'(\w+)="([^"]*)"', answer))

        def digest(*parts: str) -> str:
            return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

        right = digest(digest(user, _REALM, password), _NONCE, digest(method, said.get("uri", "")))
        return said.get("username") == user and said.get("response") == right

    def _set_up(self, name: str, wanted: str) -> str | None:
        """The transport of a track, None where the client wants one this camera has not."""
        kind, clock = (SOUND, SOUND_CLOCK) if name == "sound" else (PICTURES, PICTURE_CLOCK)
        track = Track(kind, clock, 0x1000 + kind)
        if (channel := re.search(r"TCP.*interleaved=(\d+)", wanted)) and "tcp" in self.camera.transports:
            first = int(channel[1])
            self._paths[name] = _Path(track, lambda packets, kind: self._interleave(packets, first + kind))
            return f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
        port = re.search(r"client_port=(\d+)", wanted)
        if port and "TCP" not in wanted and "udp" in self.camera.transports:
            pair = _pair_of_sockets()
            to = int(port[1])

            def send(packets: Sequence[bytes], kind: int) -> None:
                for packet in packets:
                    pair[kind].sendto(packet, ("127.0.0.1", to + kind))

            self._paths[name] = _Path(track, send, pair)
            ours = pair[0].getsockname()[1]
            return f"RTP/AVP;unicast;client_port={to}-{to + 1};server_port={ours}-{ours + 1}"
        return None

    def _interleave(self, packets: Sequence[bytes], channel: int) -> None:
        self._write([piece for one in packets for piece in (struct.pack(">cBH", b"$", channel, len(one)), one)])

    def _write(self, pieces: list[bytes]) -> None:
        with self._writing:
            self.connection.sendall(b"".join(pieces))

    def _pump(self) -> None:
        camera, reported = self.camera, 0.0
        pictures, sound = self._paths.get("pictures"), self._paths.get("sound")
        try:
            for units in camera.watched(self.gone):
                for unit, shown in units:
                    seconds = unit.time + camera.faults.jump
                    if sound is not None:
                        silence = b"\xff" * (SOUND_CLOCK // camera.footage.fps)
                        sound.send(sound.track.packets([silence], seconds), 0)
                    if pictures is not None and shown:
                        camera.tell(unit)
                        packets = pictures.track.packets(picture_payloads(camera.footage, unit), seconds)
                        pictures.send(camera.mistreat(packets, _RTP_HEAD), 0)
                    if time.monotonic() - reported > _REPORT_EVERY:
                        reported = time.monotonic()
                        for path in self._paths.values():
                            path.send([path.track.report(seconds, time.time())], 1)
        except OSError:
            pass  # the client has gone
        finally:
            self.close()


def _next_request(incoming: "socket.SocketIO") -> tuple[str, str, dict[str, str]] | None:
    """Method, address and headers of what a client asks; past what it reports. None where it has gone."""
    while (first := incoming.read(1)) == b"$":
        _, size = struct.unpack(">BH", incoming.read(3))
        incoming.read(size)
    if not first:
        return None
    line = (first + incoming.readline()).decode("latin-1").split()
    headers = {}
    while text := incoming.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return line[0], line[1], headers


def _pair_of_sockets() -> list[socket.socket]:
    """Two UDP sockets at neighboring ports, the first even: RTP and RTCP."""
    for _ in range(100):
        port = random.randrange(20_000, 60_000, 2)
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for n, one in enumerate(pair):
                one.bind(("127.0.0.1", port + n))
            return pair
        except OSError:
            for one in pair:
                one.close()
    raise OSError("no two neighboring ports are free")
