"""Ctrl-C ends a command as it ends any program, with every Python."""

from __future__ import annotations

import signal
from asyncio import CancelledError

import anyio
import pytest

from inarvl.interrupt import interruptible


async def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)
    await anyio.sleep(60)


def test_an_interrupted_run_raises_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        anyio.run(interrupted)


def test_a_cancelled_run_counts_as_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise CancelledError
