"""What is wrong with an address is said in words that fit."""

import re
import socket
import threading
from collections.abc import Mapping

import av
import pytest

from movinet.errors import LoginRefused, VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.camera.trouble import trouble

DESCRIPTION = "\r\n".join(
    ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=x", "t=0 0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:t"]
)
OK = ("200 OK", "")
ASKED = {"OPTIONS": OK, "DESCRIBE": ("200 OK", DESCRIPTION + "\r\n")}


def server(answers: Mapping[str, tuple[str, str]]) -> socket.socket:
    """Answers by method, and hangs up where there is none."""
    listener = socket.create_server(("127.0.0.1", 0))

    def converse(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while (line := lines.readline()) and (answer := answers.get(line.split()[0].decode())) is not None:
                number = "0"
                while header := lines.readline().strip():
                    if header.lower().startswith(b"cseq"):
                        number = header.split()[1].decode()
                head, body = answer
                head += f"\r\nCSeq: {number}\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}"
                connection.sendall(f"RTSP/1.0 {head}\r\n\r\n{body}".encode())

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ({"OPTIONS": OK}, VideoError, "the server hangs up"),
        ({"OPTIONS": OK, "DESCRIBE": ("404 Not Found", "")}, VideoError, "answers 404 Not Found"),
        ({"OPTIONS": OK, "DESCRIBE": ("200 OK", "hello")}, VideoError, "not understood"),
        (ASKED, VideoError, "breaks off"),
        (ASKED | {"SETUP": ("461 Unsupported Transport", "")}, VideoError, "does not send by tcp.*--transport udp"),
        (ASKED | {"SETUP": ("401 Unauthorized", "")}, LoginRefused, "refuses this user"),
        (ASKED | {"SETUP": ("500 Oh", "")}, VideoError, "5XX"),
    ],
)
def test_rtsp(answers: Mapping[str, tuple[str, str]], kind: type[VideoError], words: str) -> None:
    with server(answers) as listener:
        address = f"rtsp://me:S3cr@127.0.0.1:{listener.getsockname()[1]}/x"
        with pytest.raises(VideoError) as raised, LiveSource(address, 5, retries=0, timeout=2):
            pass
        listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who waits for the next
    assert type(raised.value) is kind
    assert re.search(words, str(raised.value))
    assert not re.search(r"S3cr|[Pp]ermission|Input/output", str(raised.value))


def test_words_of_others() -> None:
    assert trouble(av.error.ProtocolNotFoundError(1, "x"), "srt") == (VideoError, "this FFmpeg does not know srt")
    assert trouble(av.error.OSError(5, "Input/output error"), "rtmp") == (VideoError, "the connection broke off")
    assert trouble(av.error.EOFError(1, "x"), "tcp") == (VideoError, "the server hangs up")
    assert trouble(RuntimeError("secret"), "rtsp") == (VideoError, "RuntimeError")
