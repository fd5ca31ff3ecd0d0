"""Actions at regular intervals."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
from anyio import to_thread

from agent.spool.spool import Spool, SpoolFailed

log = logging.getLogger(__name__)

PRUNE_S = 300.0
KEEP_MS = 3_600_000
KEEP_KEYS = 10_000


async def repeat(every_s: float, action: Callable[[], None]) -> None:
    """Calls `action` every `every_s` seconds until cancelled."""
    while True:
        await anyio.sleep(every_s)
        action()


async def prune(spool: Spool, remove_old: Callable[[], None]) -> None:
    """Deletes every PRUNE_S what is not needed any more.

    That are replies that were delivered over KEEP_MS ago, their keys except the newest KEEP_KEYS, and what
    `remove_old` deletes.
    """
    while True:
        try:
            await spool.prune(int(time.time() * 1e3) - KEEP_MS, keep=KEEP_KEYS)
            await to_thread.run_sync(remove_old)
        except (SpoolFailed, OSError) as error:
            log.error("%s", error)
        await anyio.sleep(PRUNE_S)
