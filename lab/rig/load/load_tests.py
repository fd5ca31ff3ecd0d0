"""Runs of load on a site: how much it can do, what it does with more, and whether it stays the same."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

import anyio
import numpy as np
import psutil

from lab.rig.deployment import TOPICS, Site
from lab.rig.load.generator import Caller, Sent, Shape
from lab.rig.load.resource_log import watching
from lab.rig.load.statistics import Tally

AFTER_S = 60.0  # after the last deadline, in which replies still count: a stalled machine is late, not lossy
SATURATING = 3.0  # times what the stand-ins could do
WARM_S = 10.0


def caller_of(site: Site, rng: np.random.Generator) -> Caller:
    """A sender at the site's broker."""
    return Caller(site.layout.address, site.layout.broker_port, TOPICS, rng=rng)


async def ask_for(caller: Caller, shape: Shape, seconds: float) -> list[Sent]:
    """Load for `seconds`; returns when every question is over."""
    questions = [sent async for sent in caller.call(shape, seconds=seconds)]
    with suppress(TimeoutError), anyio.fail_after(max(shape.deadlines_ms) / 1e3 + AFTER_S):
        while not all(sent.replies for sent in questions):  # noqa: ASYNC110 # replies have no common event
            await anyio.sleep(0.1)
    return questions


async def capacity(site: Site, seconds: float, *, rng: np.random.Generator) -> float:
    """Answers per second when there is always more to answer; the controller is warm afterwards."""
    caller = caller_of(site, rng)
    async with caller.connected():
        nominal = site.pacing.nominal_rate
        await ask_for(caller, Shape(nominal / 4), WARM_S)
        asked = await ask_for(caller, Shape(SATURATING * nominal), seconds)
    return Tally.of(asked).answered / seconds


async def overload(
    site: Site, shape: Shape, seconds: float, *, rng: np.random.Generator
) -> tuple[list[Sent], float]:
    """Load for `seconds`; gives the questions and the most MiB that the agent held meanwhile."""
    agent, most_mb = psutil.Process(site.running["agent"].pid), 0.0

    async def look() -> None:
        nonlocal most_mb
        while True:
            most_mb = max(most_mb, agent.memory_info().rss / 2**20)
            await anyio.sleep(0.5)

    caller = caller_of(site, rng)
    async with caller.connected(), anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        asked = await ask_for(caller, shape, seconds)
        tasks.cancel_scope.cancel()
    return asked, most_mb


async def soak(
    site: Site, shape: Shape, seconds: float, file: Path, *, every_s: float, rng: np.random.Generator
) -> Tally:
    """Load for `seconds`, writing what the agent holds to a CSV; gives what became of the questions.

    The CSV counts one as lost when it is over, and has all questions in its last line.
    """
    tally, under_way = Tally(), deque[Sent]()
    caller = caller_of(site, rng)

    def settle(*, last: bool = False) -> None:
        limit_s = max(shape.deadlines_ms) / 1e3 + AFTER_S
        now = anyio.current_time()
        while under_way and (last or now - under_way[0].sent_at > limit_s):
            over = under_way.popleft()
            caller.forget(over)
            tally.add(over)

    def counts() -> tuple[int, ...]:
        so_far = Tally.of(sent for sent in under_way if sent.replies)
        return (
            tally.sent + len(under_way),
            tally.answered + so_far.answered,
            tally.errors + so_far.errors,
            tally.lost,
            tally.other_replies + so_far.other_replies,
        )

    async def read_on() -> None:
        while True:
            read()
            await anyio.sleep(every_s)

    with watching(site.running["agent"].pid, file, counts) as read:
        async with caller.connected(), anyio.create_task_group() as tasks:
            tasks.start_soon(read_on)
            async for sent in caller.call(shape, seconds=seconds):
                under_way.append(sent)
                settle()
            with anyio.move_on_after(max(shape.deadlines_ms) / 1e3 + AFTER_S):
                while not all(sent.replies for sent in under_way):  # noqa: ASYNC110 # as above
                    await anyio.sleep(0.1)
                await anyio.sleep(1.0)  # in which a second reply would come
            tasks.cancel_scope.cancel()
        settle(last=True)
        read()
    return tally
