"""What the process does with large blocks of memory that are freed, below training and recognizing alike."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep large blocks that are freed, instead of handing them back to the system: each update of a training
    and each whole clip asks PyTorch for the same ones again, and fresh pages cost up to half of a clip's time. Changes
    the process for good, so for commands alone. Elsewhere than on Linux with glibc, nothing."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
