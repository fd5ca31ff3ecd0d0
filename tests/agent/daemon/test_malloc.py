"""Threads that come and go leave no heaps of their own behind, and large blocks go back to the system."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these heaps")

PROGRAM = """
import ctypes, sys, threading
from agent.daemon import malloc as heap

if sys.argv[1] == "compact":
    heap.limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for size in (2**20, 2**21):  # freeing a mapped block moves the limit to its size
    libc.free(libc.malloc(size))
together = threading.Barrier(4)

def work():
    together.wait()
    held = [libc.malloc(1000) for _ in range(100)]
    together.wait()
    for block in held:
        libc.free(block)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
kept = libc.malloc(2**20)
libc.malloc_stats()
"""


def figures(how: str) -> tuple[int, int]:
    """Heaps of a process, and bytes in use that are in none of them."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60
    )
    *heaps, total = [int(used) for used in re.findall(r"in use bytes +=\s*(\d+)", ran.stderr)]
    return len(heaps), total - sum(heaps)


def test_there_is_one_heap_and_a_large_block_stands_outside_of_it() -> None:
    heaps, mapped = figures("as it is")
    compact_heaps, compact_mapped = figures("compact")
    assert (heaps > 1, compact_heaps) == (True, 1)
    assert compact_mapped - mapped >= 2**20
