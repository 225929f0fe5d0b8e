"""Connections that keep to a deadline whatever they wait for: a server that drips is given up as one that is silent."""

import io
import socket
import ssl
from dataclasses import dataclass
from time import monotonic

from movinet.video.net.hosts import Address


@dataclass
class Deadline:
    """When to stop waiting."""

    at: float | None = None

    def begin(self, seconds: float | None) -> None:
        """Count anew; None for ever."""
        self.at = None if seconds is None else monotonic() + seconds

    def left(self) -> float | None:
        """Seconds; None for ever.

        Raises:
            TimeoutError: None are left.
        """
        if self.at is None:
            return None
        left = self.at - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def connect(
    addresses: tuple[Address, ...], port: int, deadline: Deadline, tls: str | None = None, verify: bool = True
) -> socket.socket:
    """Connect to the first address that answers.

    Args:
        addresses: At least one.
        port: Where it listens.
        deadline: Until when.
        tls: The name that the server must show a certificate for; None for a connection in the clear.
        verify: Whether the certificate must be trusted.

    Raises:
        TimeoutError: None answered in time.
        ssl.SSLError: The certificate is not trusted.
        OSError: None could be reached.
    """
    failed: OSError | None = None
    for family, number in addresses:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(deadline.left())
            plain.connect((number, port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is None:
                return plain
            context = ssl.create_default_context()
            if not verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            plain.settimeout(deadline.left())
            return context.wrap_socket(plain, server_hostname=tls)
        except BaseException as error:
            plain.close()
            if not isinstance(error, OSError):
                raise
            failed = error
            deadline.left()  # may be over
    assert failed is not None
    raise failed


class Patient:
    """A socket for `http.client` that keeps to a deadline whatever it waits for."""

    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = plain, deadline

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._deadline))

    def close(self) -> None:
        """The reader, which is closed with the response, hangs up."""


class _Reader(io.RawIOBase):
    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = plain, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        self._socket.close()
        super().close()
