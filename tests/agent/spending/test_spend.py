"""The spend of a day stays below its caps, also with calls at the same time and across restarts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from agent.config.spend_settings import SpendSettings
from agent.daemon.store import Store, StoreFailed
from agent.spending.spend import Spend, SpendCapReached, SpendLimit

pytestmark = pytest.mark.anyio
CAPPED = SpendSettings(currency="EUR", per_day=1.0)
GATE = (SpendLimit("gate", 0.3),)


class Clock:
    def __init__(self) -> None:
        self.now = time.mktime((2026, 11, 30, 12, 0, 0, 0, 0, -1))  # noon, local time

    def __call__(self) -> float:
        return self.now


def spend(settings: SpendSettings = CAPPED, clock: Clock | None = None) -> Spend:
    return Spend(settings, lambda _content: None, clock=clock or Clock())


async def test_what_calls_have_cost_replaces_what_was_reserved() -> None:
    money = spend()
    first, second = [await money.reserve(0.4, (), "answer") for _ in range(2)]
    assert money.report().today == pytest.approx(0.8)
    with pytest.raises(SpendCapReached, match=r"the board has spent 0.8 of 1 EUR today"):
        await money.reserve(0.4, (), "audit")
    money.settle(first, 0.1)
    money.settle(second, 0.0)
    await money.reserve(0.4, (), "audit")
    report = money.report()
    assert (report.today, report.per_day) == (pytest.approx(0.5), 1.0)
    assert {name: value for name, value in report.purposes.items() if value} == {"answer": 0.1, "audit": 0.4}


async def test_the_cap_holds_for_calls_at_the_same_time() -> None:
    money, made = spend(), 0

    async def call() -> None:
        nonlocal made
        try:
            await money.reserve(0.15, (), "answer")
        except SpendCapReached:
            return
        made += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)
    assert made == 6


async def test_a_camera_has_a_cap_of_its_own() -> None:
    money = spend()
    await money.reserve(0.2, GATE, "answer")
    assert str(money.problem(0.2, GATE)).startswith("camera gate has spent 0.2 of 0.3 EUR today")
    assert money.problem(0.2, (SpendLimit("yard", 0.3),)) is None
    assert money.problem(0.0, GATE) is None


async def test_the_cap_ends_at_midnight_local_time() -> None:
    clock = Clock()
    money = spend(clock=clock)
    late = await money.reserve(0.9, (), "answer")
    clock.now += 12 * 3600 - 1
    assert money.problem(0.9) is not None
    clock.now += 1
    assert money.problem(0.9) is None
    money.settle(late, 5.0)  # a call of yesterday
    assert money.report().today == 0.0


async def test_the_spend_survives_a_restart(tmp_path: Path) -> None:
    store, clock = Store(tmp_path / "spend.json"), Clock()
    for _ in range(3):  # a run that is killed during its call
        money = Spend(CAPPED, store.save, clock=clock)
        store.load(money.counts.restore)
        await money.reserve(0.3, (), "answer")
    money = Spend(CAPPED, store.save, clock=clock)
    store.load(money.counts.restore)
    assert money.report().today == pytest.approx(0.9)
    assert money.problem(0.3) is not None


async def test_without_a_cap_the_spend_is_counted_and_stored(tmp_path: Path) -> None:
    store, clock = Store(tmp_path / "spend.json"), Clock()
    money = Spend(SpendSettings(), store.save, clock=clock)
    for _ in range(100):
        await money.reserve(1000.0, (), "answer")
    await money.store()
    again = Spend(SpendSettings(), store.save, clock=clock)
    store.load(again.counts.restore)
    assert again.report().today == 100_000.0


async def test_what_cannot_be_stored_is_not_spent() -> None:
    def save(_content: dict[str, object]) -> None:
        raise StoreFailed("the disk is full")

    money = Spend(CAPPED, save, clock=Clock())
    with pytest.raises(SpendCapReached, match="the disk is full"):
        await money.reserve(0.4, (), "answer")
    assert money.report().today == 0.0


async def test_after_the_spend_was_lost_nothing_is_spent_that_day() -> None:
    clock = Clock()
    money = spend(clock=clock)
    money.counts.lose()
    with pytest.raises(SpendCapReached, match="was lost"):
        await money.reserve(0.1, (), "answer")
    clock.now += 86_400
    await money.reserve(0.1, (), "answer")


async def test_a_reached_cap_is_reported_once_a_day() -> None:
    clock, reports = Clock(), list[str]()
    money = Spend(CAPPED, lambda _content: None, reached=reports.append, clock=clock)
    for _ in range(2):
        for _ in range(3):
            assert money.problem(2.0, GATE) is not None
        clock.now += 86_400
    assert len(reports) == 2


async def test_another_currency_begins_with_nothing() -> None:
    money = spend()
    await money.reserve(0.9, (), "answer")
    money.apply(SpendSettings(currency="USD", per_day=1.0))
    assert money.problem(0.9) is None


async def test_a_call_that_is_cancelled_before_it_is_made_costs_nothing() -> None:
    saving, finish = threading.Event(), threading.Event()

    def save(_content: dict[str, object]) -> None:
        saving.set()
        finish.wait()

    money = Spend(CAPPED, save, clock=Clock())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(money.reserve, 0.4, (), "answer")
        await to_thread.run_sync(saving.wait)
        with anyio.move_on_after(0):  # while it waits until the first one is stored
            await money.reserve(0.5, (), "answer")
        finish.set()
    assert money.report().today == 0.4
