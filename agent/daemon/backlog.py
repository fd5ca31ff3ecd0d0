"""Counts what waits in the queue and in the spool, for telemetry."""

from __future__ import annotations

from typing import Any

import anyio

from agent.config.settings import IntakeSettings
from agent.intake.queue import RequestQueue
from agent.spool.spool import Spool, SpoolFailed


class Backlog:
    """The present backlog; that of the spool as it was last counted."""

    def __init__(self, queue: RequestQueue, limits: IntakeSettings) -> None:
        self._queue = queue
        self._limits = limits
        self._spool: dict[str, int] = {}

    def report(self) -> dict[str, Any]:
        """Returns the fields `queue` and `spool` of the telemetry."""
        limits = self._limits
        queue = {
            "waiting": len(self._queue),
            "capacity": limits.max_waiting,
            "in_work": limits.workers - self._queue.idle,
            "workers": limits.workers,
        }
        return {"queue": queue, "spool": {**self._spool, "max_bytes": limits.max_spool_mb * 2**20}}

    async def count(self, spool: Spool, every_s: float) -> None:
        """Counts the spool's open queries at regular intervals, until cancelled."""
        while True:
            try:
                use = await spool.measured()
                self._spool = {"open": use.unanswered + use.undelivered, "bytes": use.bytes}
            except SpoolFailed:
                self._spool = {}
            await anyio.sleep(every_s)
