"""What is wrong with an address, in words: FFmpeg has names that were made for files."""

import errno

import av.error

from movinet.errors import LoginRefused, VideoError


def trouble(error: Exception, scheme: str, transport: str = "tcp") -> tuple[type[VideoError], str]:
    """The kind of error, and why an address cannot be opened or read on.

    Args:
        error: FFmpeg's or PyAV's. Its text may hold the password: of it, only FFmpeg's own words are used.
        scheme: How the address begins, such as `rtsp`.
        transport: How an RTSP server was asked to send.
    """
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        said = 401 if isinstance(error, av.error.HTTPUnauthorizedError) else 403
        return LoginRefused, f"the server answers {said}: it refuses this user and password"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return VideoError, f"this FFmpeg does not know {scheme}"
    if isinstance(error, av.error.EOFError):
        return VideoError, "the server hangs up"
    if isinstance(error, av.error.ExitError):
        return VideoError, "the server did not go on in time"
    number = error.errno if isinstance(error, av.error.FFmpegError) else None
    if number == errno.EIO:
        return VideoError, "the connection broke off"
    if scheme in ("rtsp", "rtsps"):
        if number == errno.EPROTONOSUPPORT:
            other = "udp" if transport == "tcp" else "tcp"
            return VideoError, (
                f"the server does not send by {transport}; it may by {other}: --transport {other}, or "
                f"LiveSource(transport={other!r})"
            )
        if number == errno.EPERM or isinstance(error, av.error.InvalidDataError):
            return VideoError, "the server breaks off, or describes its stream in a way that is not understood"
    if isinstance(error, av.error.FFmpegError):
        return VideoError, error.strerror or type(error).__name__
    return VideoError, type(error).__name__
