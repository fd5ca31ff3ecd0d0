"""What the agent does at a steady pace: report, save, forget, and tell systemd that it makes progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio import to_thread

from agent.spool import Spool
from agent.store import Store
from inarvl import systemd

STUCK_S = 120.0
PRUNE_S = 300.0
REMEMBER_MS = 3_600_000


async def repeat(every_s: float, act: Callable[[], None]) -> None:
    """Call `act` for ever."""
    while True:
        await anyio.sleep(every_s)
        act()


async def checkpoint(every_s: float, store: Store, snapshot: Callable[[], dict[str, Any]]) -> None:
    """Save `snapshot` for ever; it is taken here and written in a thread."""
    while True:
        await anyio.sleep(every_s)
        await to_thread.run_sync(store.save, snapshot())


async def prune(spool: Spool) -> None:
    """Forget the keys of delivered replies after REMEMBER_MS, for ever."""
    while True:
        await spool.prune(int(time.time() * 1e3) - REMEMBER_MS)
        await anyio.sleep(PRUNE_S)


async def watchdog(busy_since: Mapping[str, float], status: Callable[[], str]) -> None:
    """Feed systemd's watchdog as long as no worker has been at one query for over STUCK_S."""
    interval_s = systemd.watchdog_interval_s() or 10.0
    while True:
        oldest = min(busy_since.values(), default=time.monotonic())
        if time.monotonic() - oldest < STUCK_S:
            systemd.notify(f"WATCHDOG=1\nSTATUS={status()}")
        await anyio.sleep(interval_s)
