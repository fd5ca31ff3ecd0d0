"""Settings of glibc's malloc that keep the memory of a long-running process small."""

from __future__ import annotations

import contextlib
import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # from glibc's malloc.h
LARGE_BYTES = 128 * 1024  # glibc's initial value, which it raises as blocks are freed


def limit_arenas() -> None:
    """Uses one heap for all threads, and maps large blocks outside it; does nothing without glibc.

    By default, each thread may get its own heap, which keeps freed memory; the agent starts many short
    threads for images. The size from which a block is mapped separately, and so returned to the system when
    freed, grows with every such block, up to 32 MiB. See mallopt(3).
    """
    with contextlib.suppress(AttributeError):  # only glibc has mallopt
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
