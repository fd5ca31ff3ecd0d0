"""Actions at regular intervals."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio

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


async def prune(spool: Spool) -> None:
    """Deletes every PRUNE_S the keys of replies delivered over KEEP_MS ago, except the newest KEEP_KEYS."""
    while True:
        try:
            await spool.prune(int(time.time() * 1e3) - KEEP_MS, keep=KEEP_KEYS)
        except SpoolFailed as error:
            log.error("%s", error)
        await anyio.sleep(PRUNE_S)
