"""Notifies systemd's watchdog while the agent makes progress, not merely while a timer fires.

The agent makes progress if
1. its event loop runs, without which there is no check;
2. the spool's thread answers a check of the database;
3. the MQTT client's thread is alive;
4. no worker is still at a query STUCK_S after both its start and the query's deadline;
5. within the last STUCK_S the queue was empty, a query left it, or every worker was busy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio

from agent.answering.workers import Workers
from agent.intake.queue import RequestQueue
from agent.messages.mqtt_connection import MqttConnection
from agent.peers.directory import ServerDirectory
from agent.spool.spool import Spool, SpoolFailed
from controller import Controller
from inarvl import systemd

log = logging.getLogger(__name__)

STUCK_S = 120.0
CHECK_S = 10.0  # without a watchdog


class Watchdog:
    """Checks the parts that must make progress."""

    def __init__(
        self,
        spool: Spool,
        mqtt: MqttConnection,
        workers: Workers,
        queue: RequestQueue,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._mqtt = mqtt
        self._workers = workers
        self._queue = queue
        self._clock = clock
        self._served, self._moved_at = 0, clock()

    async def run(self, summary: Callable[[], str]) -> None:
        """Checks until cancelled; `summary` returns the status that systemd shows."""
        interval_s = systemd.watchdog_interval_s() or CHECK_S
        while True:
            stuck = await self.stuck(interval_s)
            if stuck is None:
                systemd.notify(f"WATCHDOG=1\nSTATUS={summary()}")
            else:
                log.error("no progress: %s", stuck)
                systemd.notify(f"STATUS=no progress: {stuck}")
            await anyio.sleep(interval_s)

    async def stuck(self, patience_s: float) -> str | None:
        """Returns a text about what makes no progress; None if everything does.

        Args:
            patience_s: time for the spool's thread to answer.
        """
        with anyio.move_on_after(patience_s) as checked:
            try:
                await self._spool.measured()
            except SpoolFailed as error:  # the thread answered: a full disk is not a hang
                log.error("%s", error)
        if checked.cancelled_caught:
            return "the spool's thread does not answer"
        if not self._mqtt.alive:
            return "the MQTT client's thread has ended"
        now = self._clock()
        overdue_s = now - min(self._workers.busy_until.values(), default=now)
        if overdue_s >= STUCK_S:
            return f"a worker is still at a query {overdue_s:.0f} s after its deadline"
        if self._queue.served != self._served or not len(self._queue) or not self._queue.idle:
            self._served, self._moved_at = self._queue.served, now
        if now - self._moved_at >= STUCK_S:
            return f"no query has left the queue for {now - self._moved_at:.0f} s, though a worker is idle"
        return None


def status_line(controller: Controller, mqtt: MqttConnection, servers: ServerDirectory) -> str:
    """Returns the status that systemd shows while there is progress."""
    if mqtt.problem is not None:
        return mqtt.problem
    status, healthy = controller.status(), len(servers.registry("cloud").healthy())
    return f"{status.questions} answered, {status.edge_share:.0%} on the board, {healthy} peers"
