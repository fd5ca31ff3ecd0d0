"""Readings are smoothed, age, and come from the best source that tells them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import pytest

from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.readings import STALE, Readings
from agent.sensing.sample import PacedSensor, Sample, SensorAbsent, SensorFault
from agent.sensing.sensing import ABSENT_S, FAULT_S, Sensing

pytestmark = pytest.mark.anyio


class Scripted:
    """A source that tells what a test puts in it."""

    def __init__(self, name: str, tells: Sample | Exception) -> None:
        self.name = name
        self.tells = tells
        self.asked = 0

    def sample(self) -> Sample:
        self.asked += 1
        if isinstance(self.tells, Exception):
            raise self.tells
        return self.tells

    def close(self) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sensing(clock: Callable[[], float], *sources: Scripted, smoothing_s: float = 0.0) -> Sensing:
    return Sensing([PacedSensor(source, 1.0) for source in sources], smoothing_s=smoothing_s, clock=clock)


def test_a_step_is_followed_to_63_percent_within_the_time_constant_whatever_the_pace() -> None:
    for every_s in (0.1, 0.5, 1.0):
        readings = Readings(["a"], smoothing_s=2.0)
        readings.take("a", Sample(power_w=10.0), now=0.0, every_s=every_s)
        for step in range(1, round(2.0 / every_s) + 1):
            readings.take("a", Sample(power_w=20.0), now=step * every_s, every_s=every_s)
        assert readings.state(2.0).power_w == pytest.approx(16.32, abs=0.01)


def test_what_is_not_a_load_stands_as_it_came() -> None:
    readings = Readings(["a"], smoothing_s=60.0)
    for memory_mb, mode in ((4000.0, "15W"), (200.0, "7W")):
        readings.take("a", Sample(memory_available_mb=memory_mb, power_mode=mode), now=memory_mb, every_s=1e4)
    state = readings.state(4000.0)
    assert (state.memory_available_mb, state.power_mode) == (200.0, "7W")


def test_a_reading_that_does_not_come_again_is_none() -> None:
    readings = Readings(["a"], smoothing_s=1.0)
    readings.take("a", Sample(power_w=10.0), now=0.0, every_s=1.0)
    assert readings.state(STALE).power_w == 10.0
    assert readings.state(STALE + 0.1).power_w is None


def test_after_a_silence_the_old_mean_is_not_smoothed_in() -> None:
    readings = Readings(["a"], smoothing_s=10.0)
    readings.take("a", Sample(power_w=10.0), now=0.0, every_s=1.0)
    readings.take("a", Sample(power_w=30.0), now=60.0, every_s=1.0)
    assert readings.state(60.0).power_w == 30.0


def test_the_hottest_zone_and_the_lowest_clock_count() -> None:
    readings = Readings(["a", "b"], smoothing_s=0.0)
    readings.take("a", Sample(temps_c={"cpu": 50.0, "tj": 61.0}, clock_ratio=0.9), now=0.0, every_s=1.0)
    readings.take("b", Sample(gpu_clock_ratio=0.5), now=0.0, every_s=1.0)
    state = readings.state(0.0)
    assert (state.temp_c, state.clock_ratio) == (61.0, 0.5)


async def test_the_next_source_takes_over_and_gives_back(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    best = Scripted("jtop", Sample(power_w=9.0, power_mode="15W"))
    next_best = Scripted("ina", Sample(power_w=8.0))
    board = sensing(clock, best, next_best)
    jtop, ina = PacedSensor(best, 1.0), PacedSensor(next_best, 1.0)

    async def a_second() -> float | None:
        clock.now += 1.0
        await board.sample(jtop)
        await board.sample(ina)
        return board.state.power_w

    assert await a_second() == 9.0
    assert next_best.asked == 1, "asked once, to know what it tells"
    await a_second()
    assert next_best.asked == 1, "then it rests"
    best.tells = SensorFault("jtop does not tell: start its service")
    with caplog.at_level(logging.WARNING):
        seen = [await a_second() for _ in range(8)]
    assert seen[-1] == 8.0
    assert board.state.power_mode is None
    assert [record.getMessage() for record in caplog.records] == [
        "sensor jtop: jtop does not tell: start its service"
    ], "told once"
    assert board.faults == {"jtop": "jtop does not tell: start its service"}
    best.tells = Sample(power_w=9.5, power_mode="7W")
    assert await a_second() == 9.5
    assert board.faults == {}


async def test_absent_sources_are_looked_for_seldom_and_faulty_ones_soon() -> None:
    absent, faulty = Scripted("ina", SensorAbsent("none")), Scripted("rapl", SensorFault("chgrp it"))
    board = sensing(Clock(), absent, faulty)
    assert await board.sample(PacedSensor(absent, 1.0)) == ABSENT_S
    assert await board.sample(PacedSensor(faulty, 1.0)) == FAULT_S
    assert "ina" not in board.faults


async def test_the_loops_read_until_they_are_ended_and_sample_power_when_asked() -> None:
    meter = EnergyMeter(idle_w=5.0, every_s=3600.0)
    power, load = Scripted("ina", Sample(power_w=7.0)), Scripted("processor", Sample(cpu_load=0.25))
    board = Sensing([PacedSensor(power, 3600.0), PacedSensor(load, 0.001)], smoothing_s=0.0, meter=meter)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(board.run)
        with anyio.fail_after(10):
            while load.asked < 3 or board.state.power_w is None:  # noqa: ASYNC110 # its own loop asks
                await anyio.sleep(0.001)
            assert power.asked == 1
            await board.refresh_power()
        assert power.asked == 2
        tasks.cancel_scope.cancel()
    assert board.state.cpu_load == 0.25
    assert meter.totals.total_j > 0


async def test_power_that_nobody_tells_is_not_waited_for() -> None:
    board = sensing(Clock(), Scripted("ina", SensorAbsent("none")))
    with anyio.fail_after(1):
        await board.refresh_power()
