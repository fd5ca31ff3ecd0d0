"""The calls to the cloud are counted per camera and day, before they are made, also across restarts."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agent.answering.cloud_calls import CloudCalls, CloudCallsSpent, Limit
from agent.daemon.store import Store, StoreFailed
from agent.spending.day_counts import MAX_COUNTED

pytestmark = pytest.mark.anyio
DAY_S = 86_400.0
LIMITS = (Limit("gate", 3),)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def spent(calls: CloudCalls, limits: tuple[Limit, ...] = LIMITS) -> int:
    """Returns how many calls are allowed until one is not."""
    for number in range(100):
        try:
            await calls.spend("gate", limits)
        except CloudCallsSpent:
            return number
    raise AssertionError("there is no limit")


async def test_the_limit_holds_until_the_day_ends() -> None:
    clock = Clock()
    calls = CloudCalls(lambda _: None, clock=clock)
    assert await spent(calls) == 3
    clock.now = (clock.now // DAY_S + 1) * DAY_S - 1
    assert await spent(calls) == 0
    clock.now += 1
    assert await spent(calls) == 3


async def test_a_clock_that_goes_back_gives_no_new_calls() -> None:
    clock = Clock()
    calls = CloudCalls(lambda _: None, clock=clock)
    assert await spent(calls) == 3
    clock.now -= 400 * DAY_S
    assert await spent(calls) == 0
    clock.now += 400 * DAY_S
    assert await spent(calls) == 0


async def test_the_limit_holds_for_calls_at_the_same_time() -> None:
    calls, allowed = CloudCalls(lambda _: None, clock=Clock()), 0

    async def spend() -> None:
        nonlocal allowed
        try:
            await calls.spend("gate", LIMITS)
        except CloudCallsSpent:
            return
        allowed += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(spend)
    assert allowed == 3


async def test_the_count_is_on_disk_before_a_call_is_allowed(tmp_path: Path) -> None:
    clock, store = Clock(), Store(tmp_path / "calls.json")
    for _ in range(3):  # a run that is killed right after its call
        calls = CloudCalls(store.save, clock=clock)
        store.load(calls.counts.restore)
        await calls.spend("gate", LIMITS)
    calls = CloudCalls(store.save, clock=clock)
    store.load(calls.counts.restore)
    assert await spent(calls) == 0


async def test_without_a_stored_count_nothing_is_allowed_and_nothing_is_lost() -> None:
    disk_full = True

    def save(_content: dict[str, object]) -> None:
        if disk_full:
            raise StoreFailed("the disk is full")

    calls = CloudCalls(save, clock=Clock())
    with pytest.raises(CloudCallsSpent, match="the disk is full"):
        await calls.spend("gate", LIMITS)
    disk_full = False
    assert await spent(calls) == 3


async def test_after_the_count_was_lost_nothing_is_allowed_that_day() -> None:
    clock = Clock()
    calls = CloudCalls(lambda _: None, clock=clock)
    calls.counts.lose()
    assert await spent(calls) == 0
    await calls.spend("free", ())
    clock.now += DAY_S
    assert await spent(calls) == 3


@pytest.mark.parametrize(
    "damaged", [{}, {"day": "x", "calls": {}}, {"day": "2026-11-30", "calls": {"gate": -9}}, {"calls": []}]
)
def test_a_damaged_count_is_not_taken_over(damaged: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, AttributeError)):
        CloudCalls(lambda _: None).counts.restore(damaged)


async def test_many_names_share_a_count_at_last() -> None:
    calls = CloudCalls(lambda _: None, clock=Clock())
    for number in range(MAX_COUNTED):
        await calls.spend("c", (Limit(f"c{number}", 1),))
    allowed = 0
    for number in range(50):
        try:
            await calls.spend("d", (Limit(f"d{number}", 1),))
        except CloudCallsSpent:
            continue
        allowed += 1
    assert allowed == 1
