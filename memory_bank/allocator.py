"""How the C library's allocator treats the large arrays of a frame."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
_MAPPED_FROM_BYTES = 32 << 20
"""The largest that glibc accepts."""


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next frame instead of giving it back to the system each time.

    The masks and images of a 640x480 frame are some ten megabytes. Whether glibc returns them after each frame depends
    on what happens to lie behind them on the heap; where it does, the two thousand page faults of the next frame cost
    a quarter of its time.

    Returns:
        Whether the allocator took it: only glibc's does, others are left alone.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    taken = (
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES),
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES),
    )
    return all(result == 1 for result in taken)
