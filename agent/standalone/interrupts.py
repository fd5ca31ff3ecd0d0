"""Signals that stop a command, so that no child process is left."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Raises KeyboardInterrupt on Ctrl-C, SIGTERM and SIGHUP, but not within `deferred`."""

    def __init__(self) -> None:
        self._deferring = False
        self._pending = False
        for number in SIGNALS:
            signal.signal(number, self._receive)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Lets the block end before a signal is handled: a process that starts is registered, too."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._pending:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """Ignores further signals, while the child processes are stopped."""
        self._deferring = True

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self._pending = True
        if not self._deferring:
            raise KeyboardInterrupt
