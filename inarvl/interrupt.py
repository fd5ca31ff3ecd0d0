"""Ctrl-C in a command that runs asynchronous code."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt where Ctrl-C ended `anyio.run`, which raises CancelledError on Python 3.10."""
    try:
        yield
    except CancelledError:
        raise KeyboardInterrupt from None
