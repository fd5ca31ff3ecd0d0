"""How the C library deals with memory that was given back."""

from __future__ import annotations

import contextlib
import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
LARGE_BYTES = 128 * 1024  # glibc's own choice, before it learns from what is freed


def limit_arenas() -> None:
    """Have one heap for all threads, and large blocks outside of it; without effect where glibc is not used.

    By default each thread that comes and goes, and those of the images do, may get a heap of its own, which
    keeps what was freed in it; and the size from which a block is mapped by itself, and so returned to the
    system when it is freed, grows with every such block to 32 MiB. See mallopt(3).
    """
    with contextlib.suppress(AttributeError):  # only glibc has it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
