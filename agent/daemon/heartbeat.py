"""What the agent does at a steady pace: report, save, and forget."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import anyio
from anyio import to_thread

from agent.daemon.store import Store, StoreFailed
from agent.spool.spool import Spool, SpoolFailed

log = logging.getLogger(__name__)

PRUNE_S = 300.0
REMEMBER_MS = 3_600_000
REMEMBER_KEYS = 10_000


async def repeat(every_s: float, act: Callable[[], None]) -> None:
    """Call `act` for ever."""
    while True:
        await anyio.sleep(every_s)
        act()


async def checkpoint(every_s: float, store: Store, snapshot: Callable[[], dict[str, Any]]) -> None:
    """Save `snapshot` for ever; it is taken here and written in a thread."""
    while True:
        await anyio.sleep(every_s)
        await save(store, snapshot())


async def save(store: Store, snapshot: dict[str, Any]) -> None:
    """Save it now; a disk that does not take it is told in the log."""
    try:
        await to_thread.run_sync(store.save, snapshot)
    except StoreFailed as error:
        log.error("%s", error)


async def prune(spool: Spool) -> None:
    """Forget the keys of delivered replies after REMEMBER_MS, all but the newest REMEMBER_KEYS, for ever."""
    while True:
        try:
            await spool.prune(int(time.time() * 1e3) - REMEMBER_MS, keep=REMEMBER_KEYS)
        except SpoolFailed as error:
            log.error("%s", error)
        await anyio.sleep(PRUNE_S)
