"""The energy of an answer is measured on boards with a power sensor, and modelled on others."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agent.sensing.call_energy import CallEnergy, CallEnergyMeter
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.energy_model import Energy, modelled_energy
from agent.sensing.sample import PolledSensor, Sample
from agent.sensing.sensing import Sensing
from controller.settings import PowerModel
from vlm.completion import Completion, Confidence

POWER = PowerModel(local_w=8, wait_w=0.5, radio_w=2, radio_j_per_mb=4)


def completion(
    latency_ms: float, queue_ms: float | None, compute_ms: float | None, request_bytes: int = 0
) -> Completion:
    return Completion("red", "m", latency_ms, queue_ms, compute_ms, Confidence(), 1, request_bytes)


def test_the_boards_model_uses_power_while_it_computes() -> None:
    assert modelled_energy(POWER, "local", completion(1000, 400, 500)) == Energy(4.0, "modelled")


def test_a_board_server_that_reports_no_times_computes_during_the_whole_call() -> None:
    assert modelled_energy(POWER, "local", completion(1000, None, None)).joules == 8.0


def test_a_cloud_answer_has_energy_for_radio_waiting_and_bytes() -> None:
    energy = modelled_energy(POWER, "cloud", completion(1000, 100, 500, 250_000))
    assert energy.joules == pytest.approx(2 * 0.4 + 0.5 * 0.6 + 4 * 0.25)


def test_the_radio_is_on_during_the_whole_call_if_a_cloud_server_reports_no_times() -> None:
    assert modelled_energy(POWER, "cloud", completion(1000, None, None)).joules == 2.0


def test_a_server_that_reports_more_time_than_passed_has_no_negative_radio_energy() -> None:
    assert modelled_energy(POWER, "cloud", completion(100, 0, 500)).joules == pytest.approx(0.25)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Ammeter:
    """A power sensor with the value that a test sets."""

    name = "ammeter"
    power_w = 5.0

    def sample(self) -> Sample:
        return Sample(power_w=self.power_w)

    def close(self) -> None:
        pass


async def measure(power: PowerModel, *, sees_radio: bool = False) -> dict[str, Energy]:
    """Returns the energy of a local and a cloud answer of a second each, at 7 W above 5 W of idle power."""
    clock, ammeter = Clock(), Ammeter()
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    polled = PolledSensor(ammeter, 1.0, resolution_s=0.01)
    sensing = Sensing([polled], smoothing_s=0.0, meter=meter, clock=clock)
    call_meter = CallEnergyMeter(sensing, meter, power, sees_radio=sees_radio)
    answers = {}
    await sensing.sample(polled)
    for tier in ("local", "cloud"):
        async with call_meter.over(tier) as measured:  # type: ignore[arg-type]
            clock.now += 1.0
            ammeter.power_w = 12.0
            await sensing.sample(polled)
        answers[tier] = call_meter.energy(tier, completion(1000, 0, 600, 250_000), measured)  # type: ignore[arg-type]
    return answers


@pytest.mark.anyio
async def test_the_energy_of_a_local_answer_is_measured() -> None:
    assert (await measure(POWER))["local"] == Energy(7.0, "measured")


@pytest.mark.anyio
async def test_the_radio_energy_of_a_cloud_answer_is_modelled_from_the_profile() -> None:
    energy = (await measure(POWER))["cloud"]
    assert energy == Energy(pytest.approx(7.0 + 2 * 0.4 + 4 * 0.25), "modelled")


@pytest.mark.anyio
async def test_nothing_is_modelled_if_the_sensor_measures_the_radio_too() -> None:
    assert (await measure(POWER, sees_radio=True))["cloud"] == Energy(7.0, "measured")


@pytest.mark.anyio
async def test_the_energy_is_modelled_without_a_sensor() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    call_meter = CallEnergyMeter(Sensing([], smoothing_s=0.0, meter=meter), meter, POWER)
    async with call_meter.over("local") as measured:
        await anyio.lowlevel.checkpoint()
    assert measured == CallEnergy(None)
    assert call_meter.energy("local", completion(1000, 400, 500), measured) == Energy(4.0, "modelled")


@pytest.mark.anyio
async def test_a_cancelled_request_ends_its_window() -> None:
    clock = Clock()
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    call_meter = CallEnergyMeter(Sensing([], smoothing_s=0.0, meter=meter, clock=clock), meter, POWER)
    with anyio.move_on_after(0.01):
        async with call_meter.over("local"):
            await anyio.sleep_forever()
    meter.observe(0.0, 5.0)
    meter.observe(1.0, 13.0)
    assert (meter.totals.answers_j, meter.totals.other_j) == (0.0, 8.0)
