"""Load tests of a deployment: capacity, overload and soak."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import psutil

from lab.rig.deployment import TOPICS, Deployment
from lab.rig.load.generator import LoadGenerator, SentQuery, Workload
from lab.rig.load.resource_log import resource_log
from lab.rig.load.statistics import QueryStatistics

SILENCE_S = 60.0  # over the longest deadline; a query is lost if none gets its first reply for so long
SATURATION = 3.0  # offered load in units of the mock servers' capacity
WARM_UP_S = 10.0
IDLE_S = (
    20.0  # idle connections and threads of the agent are closed sooner; a second reply would arrive in it
)


def load_generator(deployment: Deployment, rng: np.random.Generator) -> LoadGenerator:
    """Returns a load generator for a deployment's broker."""
    layout = deployment.layout
    return LoadGenerator(layout.address, layout.broker_port, TOPICS, rng=rng)


async def send_and_wait(generator: LoadGenerator, workload: Workload, seconds: float) -> list[SentQuery]:
    """Sends queries for `seconds` and returns them when no further reply is expected."""
    queries = [query async for query in generator.send(workload, seconds=seconds)]
    await generator.wait_for_replies(queries, silence_s=_silence_s(workload))
    return queries


async def measure_capacity(deployment: Deployment, seconds: float, *, rng: np.random.Generator) -> float:
    """Returns the answers per second under saturation; the controller is warm afterwards."""
    generator = load_generator(deployment, rng)
    async with generator.connected():
        nominal = deployment.mock_times.capacity
        await send_and_wait(generator, Workload(nominal / 4), WARM_UP_S)
        queries = await send_and_wait(generator, Workload(SATURATION * nominal), seconds)
    return QueryStatistics.of(queries).answered / seconds


async def run_overload(
    deployment: Deployment, workload: Workload, seconds: float, *, rng: np.random.Generator
) -> tuple[list[SentQuery], float]:
    """Sends queries for `seconds`.

    Returns:
        The queries, and the agent's maximum resident memory in MiB.
    """
    agent, most_mb = psutil.Process(deployment.services["agent"].pid), 0.0

    async def watch_memory() -> None:
        nonlocal most_mb
        while True:
            most_mb = max(most_mb, agent.memory_info().rss / 2**20)
            await anyio.sleep(0.5)

    generator = load_generator(deployment, rng)
    async with generator.connected(), anyio.create_task_group() as tasks:
        tasks.start_soon(watch_memory)
        queries = await send_and_wait(generator, workload, seconds)
        tasks.cancel_scope.cancel()
    return queries, most_mb


async def run_soak(
    deployment: Deployment,
    workload: Workload,
    seconds: float,
    file: Path,
    *,
    every_s: float,
    rng: np.random.Generator,
) -> QueryStatistics:
    """Sends queries for `seconds`, and logs the agent's resources to a CSV until the agent is idle again."""
    generator = load_generator(deployment, rng)
    queries = _SoakQueries(generator.forget, _silence_s(workload))

    async def log_resources() -> None:
        while True:
            append()
            await anyio.sleep(every_s)

    with resource_log(deployment.services["agent"].pid, file, queries.counts) as append:
        async with generator.connected(), anyio.create_task_group() as tasks:
            tasks.start_soon(log_resources)
            async for query in generator.send(workload, seconds=seconds):
                queries.add(query)
            await generator.wait_for_replies(queries.open, silence_s=_silence_s(workload))
            await anyio.sleep(IDLE_S)
            tasks.cancel_scope.cancel()
        statistics = queries.close()
        append()
    return statistics


def _silence_s(workload: Workload) -> float:
    return max(workload.deadlines_ms) / 1e3 + SILENCE_S


class _SoakQueries:
    """The queries of a soak. To save memory, those with a reply that are older than `age_s` are only counted.

    A query without a reply stays open to the end, because a late reply is not a lost one.
    """

    def __init__(self, forget: Callable[[SentQuery], None], age_s: float) -> None:
        self._forget = forget
        self._age_s = age_s
        self._closed = QueryStatistics()
        self._recent: deque[SentQuery] = deque()
        self._overdue: list[SentQuery] = []

    @property
    def open(self) -> list[SentQuery]:
        """The queries whose replies are still recorded."""
        return [*self._overdue, *self._recent]

    def add(self, query: SentQuery) -> None:
        """Adds a query and closes old ones."""
        self._recent.append(query)
        while query.sent_at - self._recent[0].sent_at > self._age_s:
            self._overdue.append(self._recent.popleft())
        for old in self._overdue:
            if old.replies:
                self._close(old)
        self._overdue = [old for old in self._overdue if not old.replies]

    def close(self) -> QueryStatistics:
        """Closes all queries, with or without a reply, and returns their statistics."""
        for query in self.open:
            self._close(query)
        self._overdue, self._recent = [], deque()
        return self._closed

    def counts(self) -> tuple[int, ...]:
        """Returns numbers of queries in the order of `resource_log.COUNTS`."""
        replied = QueryStatistics.of(query for query in self.open if query.replies)
        return (
            self._closed.sent + len(self.open),
            self._closed.answered + replied.answered,
            self._closed.errors + replied.errors,
            self._closed.lost + sum(not query.replies for query in self._overdue),
            self._closed.different_replies + replied.different_replies,
        )

    def _close(self, query: SentQuery) -> None:
        self._forget(query)
        self._closed.add(query)
