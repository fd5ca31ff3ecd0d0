"""Whether the agent makes progress, which is what it tells systemd's watchdog; not that a timer fires.

It does when, within one look and the next,
1. its event loop took a turn, or no look would happen;
2. the spool's thread answered through the database;
3. the MQTT client's thread lives;
4. no worker has been at one query for over STUCK_S;
5. a query left the queue if any waited throughout.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio

from agent.answering.workers import Workers
from agent.intake.queue import RequestQueue
from agent.messages.mqtt import MqttConnection
from agent.spool.spool import Spool, SpoolFailed
from inarvl import systemd

log = logging.getLogger(__name__)

STUCK_S = 120.0
LOOK_S = 10.0  # without a watchdog


class Watchdog:
    """Looks at the parts that must move, and feeds systemd's watchdog while they do."""

    def __init__(
        self,
        spool: Spool,
        link: MqttConnection,
        workers: Workers,
        waiting: RequestQueue,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._link = link
        self._workers = workers
        self._waiting = waiting
        self._clock = clock
        self._taken, self._moved_at = 0, clock()

    async def run(self, summary: Callable[[], str]) -> None:
        """Look for ever."""
        interval_s = systemd.watchdog_interval_s() or LOOK_S
        while True:
            stuck = await self.stuck(interval_s)
            if stuck is None:
                systemd.notify(f"WATCHDOG=1\nSTATUS={summary()}")
            else:
                log.error("no progress: %s", stuck)
                systemd.notify(f"STATUS=no progress: {stuck}")
            await anyio.sleep(interval_s)

    async def stuck(self, patience_s: float) -> str | None:
        """What does not move, in words; None when all does."""
        with anyio.move_on_after(patience_s) as looked:
            try:
                await self._spool.check()
            except SpoolFailed as error:  # it answered: a full disk is no hang
                log.error("%s", error)
        if looked.cancelled_caught:
            return "the spool's thread does not answer"
        if not self._link.alive:
            return "the MQTT client's thread has ended"
        now = self._clock()
        oldest = min(self._workers.busy_since.values(), default=now)
        if now - oldest >= STUCK_S:
            return f"a worker has been at one query for {now - oldest:.0f} s"
        if self._waiting.taken != self._taken or not len(self._waiting):
            self._taken, self._moved_at = self._waiting.taken, now
        if now - self._moved_at >= STUCK_S:
            return f"no query has left the queue for {now - self._moved_at:.0f} s"
        return None
