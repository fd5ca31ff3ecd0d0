"""The energy of an answer is measured where the board can, and modelled from its profile where it cannot."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agent.sensing.call_energy import CallEnergy, CallEnergyMeter
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.energy_model import Energy, modelled_energy
from agent.sensing.sample import PacedSensor, Sample
from agent.sensing.sensing import Sensing
from controller.settings import PowerModel
from vlm.completion import Completion, Confidence

POWER = PowerModel(local_w=8, wait_w=0.5, radio_w=2, radio_j_per_mb=4)


def completion(
    latency_ms: float, queue_ms: float | None, compute_ms: float | None, request_bytes: int = 0
) -> Completion:
    return Completion("red", "m", latency_ms, queue_ms, compute_ms, Confidence(), 1, request_bytes)


def test_the_boards_model_draws_power_while_it_computes() -> None:
    assert modelled_energy(POWER, "local", completion(1000, 400, 500)) == Energy(4.0, "modelled")


def test_a_board_server_that_tells_no_times_computes_all_the_while() -> None:
    assert modelled_energy(POWER, "local", completion(1000, None, None)).joules == 8.0


def test_a_cloud_answer_costs_radio_and_waiting_and_bytes() -> None:
    energy = modelled_energy(POWER, "cloud", completion(1000, 100, 500, 250_000))
    assert energy.joules == pytest.approx(2 * 0.4 + 0.5 * 0.6 + 4 * 0.25)


def test_a_cloud_server_that_tells_no_times_leaves_all_to_the_radio() -> None:
    assert modelled_energy(POWER, "cloud", completion(1000, None, None)).joules == 2.0


def test_a_server_that_claims_more_time_than_passed_costs_no_less_than_nothing() -> None:
    assert modelled_energy(POWER, "cloud", completion(100, 0, 500)).joules == pytest.approx(0.25)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Ammeter:
    """A power sensor that tells what a test sets it to."""

    name = "ammeter"
    power_w = 5.0

    def sample(self) -> Sample:
        return Sample(power_w=self.power_w)

    def close(self) -> None:
        pass


async def measured(power: PowerModel, *, sees_radio: bool = False) -> dict[str, Energy]:
    """A local and a cloud answer of a second each, in which the board draws 7 W above its idle 5."""
    clock, ammeter = Clock(), Ammeter()
    meter = EnergyMeter(idle_w=5.0, every_s=1.0)
    paced = PacedSensor(ammeter, 1.0, resolution_s=0.01)
    sensing = Sensing([paced], smoothing_s=0.0, meter=meter, clock=clock)
    metering = CallEnergyMeter(sensing, meter, power, sees_radio=sees_radio)
    answers = {}
    await sensing.sample(paced)
    for tier in ("local", "cloud"):
        async with metering.over(tier) as metered:  # type: ignore[arg-type]
            clock.now += 1.0
            ammeter.power_w = 12.0
            await sensing.sample(paced)
        answers[tier] = metering.energy(tier, completion(1000, 0, 600, 250_000), metered)  # type: ignore[arg-type]
    return answers


@pytest.mark.anyio
async def test_a_local_answer_is_what_was_measured() -> None:
    assert (await measured(POWER))["local"] == Energy(7.0, "measured")


@pytest.mark.anyio
async def test_the_radio_of_a_cloud_answer_comes_from_the_profile_and_says_so() -> None:
    energy = (await measured(POWER))["cloud"]
    assert energy == Energy(pytest.approx(7.0 + 2 * 0.4 + 4 * 0.25), "modelled")


@pytest.mark.anyio
async def test_a_sensor_that_sees_the_radio_leaves_nothing_to_model() -> None:
    assert (await measured(POWER, sees_radio=True))["cloud"] == Energy(7.0, "measured")


@pytest.mark.anyio
async def test_without_a_sensor_all_is_modelled() -> None:
    meter = EnergyMeter(idle_w=5.0, every_s=1.0)
    metering = CallEnergyMeter(Sensing([], smoothing_s=0.0, meter=meter), meter, POWER)
    async with metering.over("local") as metered:
        await anyio.lowlevel.checkpoint()
    assert metered == CallEnergy(None)
    assert metering.energy("local", completion(1000, 400, 500), metered) == Energy(4.0, "modelled")


@pytest.mark.anyio
async def test_a_request_that_is_given_up_is_over() -> None:
    clock = Clock()
    meter = EnergyMeter(idle_w=5.0, every_s=1.0)
    metering = CallEnergyMeter(Sensing([], smoothing_s=0.0, meter=meter, clock=clock), meter, POWER)
    with anyio.move_on_after(0.01):
        async with metering.over("local"):
            await anyio.sleep_forever()
    meter.observe(0.0, 5.0)
    meter.observe(1.0, 13.0)
    assert (meter.totals.answers_j, meter.totals.rest_j) == (0.0, 8.0)
