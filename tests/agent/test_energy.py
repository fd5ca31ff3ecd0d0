"""The energy of an answer is the profile's power times the times that were measured."""

from __future__ import annotations

import pytest

from agent.energy import Energy, modelled_energy
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
