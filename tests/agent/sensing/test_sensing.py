"""Readings are smoothed, become stale, and come from the best sensor that reports them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import pytest

from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.readings import STALE_INTERVALS, Readings
from agent.sensing.sample import PolledSensor, Sample, SensorAbsent, SensorFault
from agent.sensing.sensing import ABSENT_RETRY_S, FAULT_RETRY_S, Sensing

pytestmark = pytest.mark.anyio


class Scripted:
    """A sensor with the sample or the error that a test sets."""

    def __init__(self, name: str, result: Sample | Exception) -> None:
        self.name = name
        self.result = result
        self.samples = 0

    def sample(self) -> Sample:
        self.samples += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def close(self) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sensing(clock: Callable[[], float], *sensors: Scripted, smoothing_s: float = 0.0) -> Sensing:
    return Sensing([PolledSensor(sensor, 1.0) for sensor in sensors], smoothing_s=smoothing_s, clock=clock)


def test_a_step_reaches_63_percent_after_the_time_constant_at_any_interval() -> None:
    for interval_s in (0.1, 0.5, 1.0):
        readings = Readings(["a"], smoothing_s=2.0)
        readings.update("a", Sample(power_w=10.0), now=0.0, interval_s=interval_s)
        for step in range(1, round(2.0 / interval_s) + 1):
            readings.update("a", Sample(power_w=20.0), now=step * interval_s, interval_s=interval_s)
        assert readings.state(2.0).power_w == pytest.approx(16.32, abs=0.01)


def test_values_other_than_loads_and_power_are_not_smoothed() -> None:
    readings = Readings(["a"], smoothing_s=60.0)
    for memory_mb, mode in ((4000.0, "15W"), (200.0, "7W")):
        readings.update(
            "a", Sample(memory_available_mb=memory_mb, power_mode=mode), now=memory_mb, interval_s=1e4
        )
    state = readings.state(4000.0)
    assert (state.memory_available_mb, state.power_mode) == (200.0, "7W")


def test_a_stale_reading_is_none() -> None:
    readings = Readings(["a"], smoothing_s=1.0)
    readings.update("a", Sample(power_w=10.0), now=0.0, interval_s=1.0)
    assert readings.state(STALE_INTERVALS).power_w == 10.0
    assert readings.state(STALE_INTERVALS + 0.1).power_w is None


def test_a_stale_reading_is_not_smoothed_into_the_next() -> None:
    readings = Readings(["a"], smoothing_s=10.0)
    readings.update("a", Sample(power_w=10.0), now=0.0, interval_s=1.0)
    readings.update("a", Sample(power_w=30.0), now=60.0, interval_s=1.0)
    assert readings.state(60.0).power_w == 30.0


def test_the_state_has_the_hottest_zone_and_the_lowest_clock_ratio() -> None:
    readings = Readings(["a", "b"], smoothing_s=0.0)
    readings.update("a", Sample(temps_c={"cpu": 50.0, "tj": 61.0}, clock_ratio=0.9), now=0.0, interval_s=1.0)
    readings.update("b", Sample(gpu_clock_ratio=0.5), now=0.0, interval_s=1.0)
    state = readings.state(0.0)
    assert (state.temp_c, state.clock_ratio) == (61.0, 0.5)


async def test_the_next_sensor_replaces_a_faulty_one_until_it_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    best = Scripted("jtop", Sample(power_w=9.0, power_mode="15W"))
    next_best = Scripted("ina", Sample(power_w=8.0))
    board = sensing(clock, best, next_best)
    jtop, ina = PolledSensor(best, 1.0), PolledSensor(next_best, 1.0)

    async def a_second() -> float | None:
        clock.now += 1.0
        await board.sample(jtop)
        await board.sample(ina)
        return board.state.power_w

    assert await a_second() == 9.0
    assert next_best.samples == 1, "sampled once, to know what it reports"
    await a_second()
    assert next_best.samples == 1, "not sampled while a better sensor reports the same"
    best.result = SensorFault("jtop cannot be read: start its service")
    with caplog.at_level(logging.WARNING):
        powers_w = [await a_second() for _ in range(8)]
    assert powers_w[-1] == 8.0
    assert board.state.power_mode is None
    assert [record.getMessage() for record in caplog.records] == [
        "sensor jtop: jtop cannot be read: start its service"
    ], "logged once"
    assert board.faults == {"jtop": "jtop cannot be read: start its service"}
    best.result = Sample(power_w=9.5, power_mode="7W")
    assert await a_second() == 9.5
    assert board.faults == {}


async def test_faulty_sensors_are_tried_again_sooner_than_absent_ones() -> None:
    absent, faulty = Scripted("ina", SensorAbsent("none")), Scripted("rapl", SensorFault("run chgrp"))
    board = sensing(Clock(), absent, faulty)
    assert await board.sample(PolledSensor(absent, 1.0)) == ABSENT_RETRY_S
    assert await board.sample(PolledSensor(faulty, 1.0)) == FAULT_RETRY_S
    assert "ina" not in board.faults


async def test_the_loops_poll_until_they_are_cancelled_and_sample_power_on_request() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=3600.0)
    power, load = Scripted("ina", Sample(power_w=7.0)), Scripted("processor", Sample(cpu_load=0.25))
    board = Sensing([PolledSensor(power, 3600.0), PolledSensor(load, 0.001)], smoothing_s=0.0, meter=meter)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(board.run)
        with anyio.fail_after(60):
            while load.samples < 3 or board.state.power_w is None:  # noqa: ASYNC110 # the loop has no event for it
                await anyio.sleep(0.001)
            assert power.samples == 1
            await board.refresh_power()
        assert power.samples == 2
        tasks.cancel_scope.cancel()
    assert board.state.cpu_load == 0.25
    assert meter.totals.total_j > 0


async def test_refreshing_the_power_does_not_wait_without_a_power_sensor() -> None:
    board = sensing(Clock(), Scripted("ina", SensorAbsent("none")))
    with anyio.fail_after(30):
        await board.refresh_power()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_a_value_that_is_not_finite_is_no_reading(value: float) -> None:
    clock = Clock()
    sample = Sample(power_w=value, cpu_load=value, temps_c={"cpu": value, "gpu": 40.0}, clock_ratio=0.5)
    board = sensing(clock, Scripted("a", sample))
    await board.sample(board._loops["a"].polled)
    assert board.readings().keys() == {"temps_c", "clock_ratio"}
    assert board.state.temp_c == 40.0
