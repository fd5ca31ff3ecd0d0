"""Two sensors that differ by more than a half are both published, and the careful value is used."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from agent.profile.profile import Profile
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.disagreement import CHECK_S, IN_A_ROW
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.sample import PolledSensor, Sample, SensorFault
from agent.sensing.sensing import Sensing
from vlm.completion import Completion, Confidence

pytestmark = pytest.mark.anyio


class Scripted:
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


class Board:
    """A board whose sensors are sampled once a second."""

    def __init__(self, *results: Sample) -> None:
        self.now = 0.0
        self.events: list[tuple[str, dict[str, str]]] = []
        self.sensors = [Scripted(name, result) for name, result in zip("abc", results, strict=False)]
        self._polled = [PolledSensor(sensor, 1.0) for sensor in self.sensors]
        self.meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
        self.sensing = Sensing(
            self._polled,
            smoothing_s=0.0,
            meter=self.meter,
            idle_w={"15W": 5.0, "MAXN": 7.0}.__getitem__,
            report=lambda event, **details: self.events.append((event, details)),
            clock=lambda: self.now,
        )

    async def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            for polled in self._polled:
                await self.sensing.sample(polled)


LONG_ENOUGH_S = (IN_A_ROW + 1) * CHECK_S


@pytest.mark.parametrize(
    ("best", "other", "reading", "used"),
    [
        (Sample(power_w=13.0), Sample(power_w=23.0), "power_w", "b"),
        (Sample(power_w=23.0), Sample(power_w=13.0), "power_w", "a"),
        (Sample(temps_c={"cpu": 45}), Sample(temps_c={"soc": 80, "tj": 30}), "temps_c", "b"),
        (Sample(battery_pct=90), Sample(battery_pct=20), "battery_pct", "b"),
        (Sample(memory_available_mb=400), Sample(memory_available_mb=4000), "memory_available_mb", "a"),
    ],
)
async def test_the_careful_one_of_two_values_is_used_with_an_event(
    caplog: pytest.LogCaptureFixture, best: Sample, other: Sample, reading: str, used: str
) -> None:
    board = Board(best, other)
    with caplog.at_level(logging.WARNING):
        await board.run(LONG_ENOUGH_S)
    assert board.sensing.readings()[reading].source == used
    assert board.sensing.disagreements()[reading]["used"] == used
    assert set(board.sensing.disagreements()[reading]["values"]) == {"a", "b"}
    ((event, details),) = board.events
    assert (event, details["reading"]) == ("disagreement", reading)
    assert f"{used} is used" in details["message"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("best", "other"),
    [
        (Sample(power_w=10.0), Sample(power_w=15.0)),  # exactly a half
        (Sample(power_w=0.0), Sample(power_w=0.0)),
        (Sample(power_w=-3.0), Sample(power_w=5.0)),  # the offset of a sensor at rest
        (Sample(temps_c={"cpu": 45.0}), Sample(temps_c={"cpu": 46.0})),
        (Sample(gpu_load=0.1), Sample(gpu_load=0.9)),
    ],
)
async def test_values_that_agree_or_are_momentary_are_no_event(best: Sample, other: Sample) -> None:
    board = Board(best, other)
    await board.run(3 * LONG_ENOUGH_S)
    assert (board.events, board.sensing.disagreements()) == ([], {})


async def test_a_short_difference_is_no_disagreement() -> None:
    board = Board(Sample(power_w=10.0), Sample(power_w=10.0))
    for _ in range(10):
        board.sensors[1].result = Sample(power_w=40.0)
        await board.run((IN_A_ROW - 1) * CHECK_S)
        board.sensors[1].result = Sample(power_w=10.0)
        await board.run(CHECK_S)
    assert board.events == []


async def test_sensors_that_agree_again_end_the_disagreement() -> None:
    board = Board(Sample(power_w=13.0), Sample(power_w=23.0))
    await board.run(LONG_ENOUGH_S)
    assert board.sensing.state.power_w == 23.0
    assert board.meter.totals.total_j > 0
    board.sensors[0].result = Sample(power_w=22.0)
    await board.run(LONG_ENOUGH_S)
    assert board.sensing.state.power_w == 22.0
    assert board.sensing.disagreements() == {}
    assert [details["message"][-16:] for _, details in board.events][1:] == ["they agree again"]


async def test_the_other_sensor_replaces_the_careful_one_that_fails() -> None:
    board = Board(Sample(power_w=13.0), Sample(power_w=23.0))
    await board.run(LONG_ENOUGH_S)
    board.sensors[1].result = SensorFault("gone: look")
    await board.run(20)
    assert board.sensing.state.power_w == 13.0


async def test_a_sensor_that_is_not_used_is_read_only_to_compare_it() -> None:
    board = Board(Sample(power_w=10.0), Sample(power_w=10.0))
    await board.run(10 * CHECK_S)
    assert board.sensors[0].samples == 100
    assert board.sensors[1].samples == 10


async def test_a_change_of_the_power_mode_is_an_event_and_idle_power_is_measured_anew() -> None:
    board = Board(Sample(power_mode="15W", power_w=5.5))
    await board.run(40)
    assert board.events == []
    assert board.meter.idle_w == pytest.approx(5.5)
    board.sensors[0].result = Sample(power_mode="MAXN", power_w=9.0)
    await board.run(1)
    assert board.meter.idle_w == pytest.approx(9.0)  # the first second in the new mode
    assert board.events == [("power_mode", {"mode": "MAXN", "message": "it was 15W"})]


def profile() -> Profile:
    content: dict[str, Any] = {
        "name": "p",
        "power": {"idle_w": 5, "local_w": 8, "wait_w": 0.5, "radio_w": 0, "mode": "15W"},
        "power_modes": [{"name": "15W", "budget_w": 15}, {"name": "MAXN", "local_w": 20}],
    }
    return Profile.model_validate(content)


async def test_the_modelled_energy_follows_the_power_mode() -> None:
    sensor = Scripted("tegra", Sample(power_mode="15W"))
    polled = PolledSensor(sensor, 1.0)
    sensing = Sensing.from_profile(profile(), [polled])
    meter = CallEnergyMeter.from_profile(profile(), sensing)
    answer = Completion("red", "m", 1000.0, None, 1000.0, Confidence(), 1, 0)
    joules = []
    for mode in ("15W", "MAXN", "a mode of the owner"):
        sensor.result = Sample(power_mode=mode)
        await sensing.sample(polled)
        async with meter.over("local") as energy:
            pass
        joules.append(meter.energy("local", answer, energy).joules)
    assert joules == [8.0, 20.0, 8.0]
