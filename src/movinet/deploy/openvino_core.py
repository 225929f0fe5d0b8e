"""OpenVINO's root object, one for the process."""

from threading import Lock
from typing import TYPE_CHECKING

from movinet.errors import needs_extra

if TYPE_CHECKING:
    import openvino as ov

_lock = Lock()
_cores: "list[ov.Core]" = []  # at most one


def openvino_core() -> "ov.Core":
    """The one that everything here compiles with, never taken down.

    Each gives the thread that makes it another stack for signals and, taken down, puts back the one before. Of two that
    go in the order they came, the second puts back the first one's, which is freed memory by then: the next signal with
    a handler, a Ctrl-C or a child's end, ends the process (OpenVINO 2026.4).

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    with _lock:
        if not _cores:
            _cores.append(ov.Core())
        return _cores[0]
