"""Threads share one heap, and freed large blocks are returned to the system."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these heaps")

PROGRAM = """
import ctypes, sys, threading
from agent.daemon import malloc

if sys.argv[1] == "limited":
    malloc.limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for size in (2**20, 2**21):  # freeing a mapped block raises the threshold to its size
    libc.free(libc.malloc(size))
barrier = threading.Barrier(4)

def work():
    barrier.wait()
    blocks = [libc.malloc(1000) for _ in range(100)]
    barrier.wait()
    for block in blocks:
        libc.free(block)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
large = libc.malloc(2**20)
libc.malloc_stats()
"""


def measure(setting: str) -> tuple[int, int]:
    """Returns how many heaps a process has, and how many bytes in use are outside them."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, setting], capture_output=True, text=True, check=True, timeout=60
    )
    *heaps, total = [int(used) for used in re.findall(r"in use bytes +=\s*(\d+)", ran.stderr)]
    return len(heaps), total - sum(heaps)


def test_there_is_one_heap_and_a_large_block_is_outside_it() -> None:
    heaps, mapped = measure("default")
    limited_heaps, limited_mapped = measure("limited")
    assert (heaps > 1, limited_heaps) == (True, 1)
    assert limited_mapped - mapped >= 2**20
