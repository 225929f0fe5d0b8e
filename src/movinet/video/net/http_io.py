"""Reading http and https addresses for FFmpeg, so that it opens none itself.

FFmpeg asks for every address it wants, also for those a playlist names, and gets a file to read from. What may not be
asked for is refused here, and every wait has an end.
"""

import http.client
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol
from urllib.parse import SplitResult

from movinet.errors import BadSource, LoginRefused, VideoError
from movinet.video.net.aes import Decrypting
from movinet.video.net.connect import Deadline
from movinet.video.net.hosts import Hosts, split
from movinet.video.net.http_request import Client, Failed, LoginFailed, without_user
from movinet.video.net.login import Address
from movinet.video.net.playlist import PLAYLIST_BYTES, absolute, is_named_playlist, is_playlist
from movinet.video.net.sources import Limits, without_password

_SKIPPED = 1 << 16  # bytes ahead that are read and thrown away rather than asked for anew
_RETURNS = 4  # to the beginning of a file, where the server gives it from there alone


class Readable(Protocol):
    """What FFmpeg reads from."""

    def read(self, size: int, /) -> bytes: ...


class Stopped(Exception):
    """Tells FFmpeg to stop; why is in `Opener.error`."""


class Opener:
    """Opens what one http source consists of; PyAV's `io_open`.

    Args:
        source: The address that was given.
        limits: What it may lead to.
        timeout: Seconds that opening, or one step of reading, may take; None for ever. It counts from `watch`, so that
            a server that drips a byte a second is given up as one that is silent.

    Raises:
        VideoError: The address cannot be opened, or leads where it may not.
    """

    def __init__(self, source: str | Address, limits: Limits, timeout: float | None) -> None:
        self.timeout = timeout
        address = source if isinstance(source, Address) else Address.of(source)
        self.hosts = Hosts(address.url, limits)
        self.name = self.hosts.name
        self.deadline = Deadline()
        self.error: BaseException | None = None
        """What made `watch` stop FFmpeg."""
        self.fault: str | None = None
        """What went wrong with the address read last: it ended early, or was not there."""
        parts = split(address.url, self.name)
        self.client = Client(parts, address.login, self.hosts, limits, self.deadline)
        self._files: list[HttpFile] = []
        self._first: Readable | None = None
        try:
            with self.watch():
                file = self._open(without_user(parts), 0, None)
        except BaseException as error:
            self.close()
            if isinstance(error, LoginFailed):
                raise LoginRefused(f"{self.name}: cannot be opened: {error}") from None
            if isinstance(error, Failed):
                raise VideoError(f"{self.name}: cannot be opened: {error}") from None
            raise
        self.head = file.head
        """How it begins, a few bytes at least."""
        self.url = file.url
        """Where the source is, after redirects; without user and password."""
        self.format = _format(file)
        """FFmpeg's name of the format, where the server says it, or None."""
        self.type = file.type
        """What kind of thing the server says it is, such as `video/mp4`."""
        self.finite = file.length is not None and self.format is None
        """Whether this is a file of known length rather than a stream."""
        self._first = file.whole or file

    @contextmanager
    def watch(self, times: int = 1) -> Iterator[None]:
        """Around calls of FFmpeg: has the time-out begin (`times` as long), and raises what stopped it.

        Raises:
            VideoError: There was no answer in time, or an address was refused.
        """
        self.deadline.begin(None if self.timeout is None else times * self.timeout)
        try:
            yield
        except Stopped:
            assert self.error is not None
            raise self.error from None
        except TimeoutError:
            raise self._silent() from None

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> Readable:
        """A file for FFmpeg: what is at an address. Raises nothing but `Stopped`, and that once."""
        if self._first is not None and url == self.url:
            first, self._first = self._first, None
            return first
        if self.error is not None:
            return io.BytesIO()
        with self.stopping():
            encrypted = re.match(r"crypto[+:]", url)
            target = url[encrypted.end() :] if encrypted else url
            start, end = int(options.get("offset", 0)), options.get("end_offset")
            try:
                file = self._open(split(target, self.name), start, int(end) if end else None)
            except Failed as error:  # FFmpeg goes on to the next piece of a stream
                self.fault = f"{without_password(target)}: {error}"
                return io.BytesIO()
            self.fault = None
            readable = file.whole or file
            if encrypted and "key" not in options:  # not FFmpeg's word for an encrypted segment, but the playlist's
                raise BadSource(f"{self.name}: leads to {without_password(url)}: refused")
            if encrypted:
                return Decrypting(readable, bytes.fromhex(options["key"]), bytes.fromhex(options["iv"]))
            return readable
        raise AssertionError  # `stopping` has raised

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Within a call by FFmpeg: errors become `Stopped`, also Ctrl-C, which PyAV would swallow."""
        try:
            yield
        except TimeoutError:
            self.error = self._silent()
            raise Stopped from None
        except BaseException as error:
            self.error = error
            raise Stopped from None

    def close(self) -> None:
        """Hang up."""
        for file in self._files:
            file.close()
        self._files = []
        self._first = None

    def _silent(self) -> VideoError:
        return VideoError(
            f"{self.name}: no answer within {self.timeout} s; is the address right and the source running?"
        )

    def _open(self, parts: SplitResult, start: int, end: int | None) -> "HttpFile":
        file = HttpFile(self, parts, start, end)
        self._files = [other for other in self._files if not other.closed]
        self._files.append(file)
        file.begin()
        return file


class HttpFile:
    """What is at an address, as FFmpeg reads it: from one response, or from several where it jumps about.

    Args:
        opener: Whose file it is.
        parts: The address.
        start, end: The bytes wanted; None for all there are. Positions count from `start`.
    """

    def __init__(self, opener: Opener, parts: SplitResult, start: int, end: int | None) -> None:
        self.closed = False
        self.length: int | None = None
        """In bytes, or None where the server does not say."""
        self.whole: BinaryIO | None = None
        """All of it, where it is a playlist."""
        self.type = ""
        self.head = b""
        self._opener, self._parts, self._start, self._end = opener, parts, start, end
        self._response: http.client.HTTPResponse | None = None
        self._ahead = b""
        self._at = 0  # where FFmpeg is
        self._there = 0  # where the response is
        self._ranges = False
        self._index_last = False
        self._returns = 0
        self._whole_begun = start == 0 and end is None

    @property
    def url(self) -> str:
        return self._parts.geturl()

    def begin(self) -> None:
        """Ask for it, and look how it begins."""
        asked = self._parts
        self._request(0)
        assert self._response is not None
        headers = self._response.headers
        self.type = headers.get_content_type() if "Content-Type" in headers else ""
        while len(self._ahead) < 7 and (more := self._receive(1 << 15)):
            self._ahead += more
        self.head = self._ahead[:64]
        self._index_last = _index_is_last(self._ahead)
        if is_playlist(self.head):
            text = bytearray(self._ahead)
            while more := self._receive(1 << 15):
                text += more
                if len(text) > PLAYLIST_BYTES:
                    raise VideoError(f"{self._opener.name}: a playlist of more than {PLAYLIST_BYTES >> 20} MB: refused")
            self.whole = io.BytesIO(bytes(text) if self._parts == asked else absolute(bytes(text), self.url))
            self.close()  # FFmpeg closes what it was given: of a live stream another comes every few seconds

    def read(self, size: int, /) -> bytes:
        """What has come, at most `size` bytes; nothing at the end."""
        if self._opener.error is not None:
            return b""
        with self._opener.stopping():
            try:
                return self._read(size)
            except Failed as error:
                self._opener.fault = str(error)
                return b""
        raise AssertionError  # `stopping` has raised

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere; -1 where that is unknown."""
        if whence == 2:
            if self.length is None:
                return -1
            offset += self.length
        elif whence == 1:
            offset += self._at
        if offset < 0:
            return -1
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return (self._ranges or self._index_last) and self._whole_begun and self.length is not None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
        if self._response is not None:
            self._response.close()
        self._response = None

    def _read(self, size: int) -> bytes:
        if self._at != self._there - len(self._ahead):
            gap = self._at - (self._there - len(self._ahead))
            if self.length is not None and self._at >= self.length:
                return b""
            from_there = self._index_last and not self._ranges  # the beginning
            if self._response is None or gap < 0 or (gap > _SKIPPED and not from_there):
                self._request(0 if from_there else self._at)
                gap = self._at - self._there
            while gap and (skipped := self._take(min(gap, _SKIPPED))):
                gap -= len(skipped)
        data = self._take(size)
        self._at += len(data)
        return data

    def _take(self, size: int) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._receive(size)

    def _request(self, position: int) -> None:
        if self._response is not None:
            self._response.close()
            if position == 0:
                self._returns += 1
            if self._returns > _RETURNS:
                raise Failed(
                    "the server gives this file from its beginning alone, and it is read in jumps: fetch it first"
                )
        self._ahead, self._there, self._response = b"", position, None
        begin = self._start + position
        answer, self._parts = self._opener.client.request(self._parts, begin, self._end)
        self._response = answer
        said = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if answer.status == 206 and said:
            if int(said[1]) != begin:
                raise Failed(f"the server gives byte {said[1]} where {begin} was asked for")
            self._ranges = True
            if said[2] != "*" and self._whole_begun:
                self.length = int(said[2])
        elif begin:
            raise Failed("the server cannot begin in the middle")
        elif answer.length is not None:
            self.length = answer.length
            self._ranges = answer.headers.get("Accept-Ranges", "").lower() == "bytes"

    def _receive(self, size: int) -> bytes:
        """The next bytes of the response; nothing at its end."""
        if self._response is None:
            return b""
        try:
            data = self._response.read1(size)
        except TimeoutError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Failed(f"the connection was cut ({getattr(error, 'strerror', None) or 'in mid-answer'})") from None
        self._there += len(data)
        if not data and self._response.length:  # as many bytes as were promised and have not come
            raise Failed(f"the connection was cut, {self._response.length} bytes before the end")
        return data


def _format(file: HttpFile) -> str | None:
    if file.type == "multipart/x-mixed-replace":
        return "mpjpeg"
    return "hls" if file.whole is not None and is_named_playlist(file.url, file.type) else None


def _index_is_last(head: bytes) -> bool:
    """Whether an MP4 begins with its pictures: then FFmpeg wants its end, and its beginning again."""
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4]), head[at + 4 : at + 8]
        if kind == b"mdat":
            return True
        if kind not in (b"ftyp", b"free", b"skip", b"wide") or size < 8:
            return False
        at += size
    return False
