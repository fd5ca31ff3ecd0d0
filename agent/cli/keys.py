"""Keys that a person presses in a terminal, without Enter."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


@contextmanager
def single_keys() -> Iterator[None]:
    """Lets the terminal of standard input pass each key without Enter or echo; Ctrl-C still interrupts."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def wait_for_key(keys: str) -> None:
    """Returns when one of `keys` was pressed, or standard input has ended."""
    while True:
        await anyio.wait_readable(sys.stdin)
        pressed = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
        if not pressed or any(key in keys for key in pressed):
            return
