"""Measured energy is divided fairly and completely; the board's power is scripted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from agent.sensing.energy_meter import EnergyMeter, Window

INTERVAL_S = 0.2
IDLE_W = 5.0


@dataclass(frozen=True)
class Request:
    began: float
    ended: float
    power_w: float


def run(
    requests: list[Request],
    *,
    until_s: float,
    idle_w: float = IDLE_W,
    profile_idle_w: float = IDLE_W,
    noise: Callable[[], float] = lambda: 0.0,
    interval_s: float = INTERVAL_S,
) -> tuple[EnergyMeter, list[float | None]]:
    """Runs a meter until `until_s`, sampled every `interval_s` and at the end of each request.

    Returns:
        The meter, and the energy attributed to each request.
    """
    meter = EnergyMeter(idle_w=profile_idle_w, interval_s=interval_s)
    windows: dict[Request, Window] = {}
    joules: dict[Request, float | None] = {}
    events: list[tuple[float, int, Request | None]] = [
        (step * interval_s, 1, None) for step in range(round(until_s / interval_s) + 1)
    ]
    events += [(request.began, 2, request) for request in requests]
    events += [(request.ended, 0, request) for request in requests]
    before = 0.0
    for at, _, request in sorted(events, key=lambda event: event[:2]):
        if request is None or request in windows:
            used_j = [max(0.0, min(at, one.ended) - max(before, one.began)) * one.power_w for one in requests]
            mean_w = idle_w if at == before else idle_w + sum(used_j) / (at - before)
            meter.observe(at, mean_w + noise())
            before = at
        if request is not None and request not in windows:
            windows[request] = meter.begin(weight=request.power_w, now=at)
        elif request is not None:
            joules[request] = meter.end(windows[request], now=at, resolution_s=0.01)
    return meter, [joules[request] for request in requests]


def test_a_request_gets_its_energy_above_idle() -> None:
    _, joules = run([Request(3.03, 4.17, 8.0)], until_s=10)
    assert joules == [pytest.approx(8.0 * 1.14)]


def test_consecutive_requests_get_their_own_energy() -> None:
    requests = [Request(3.0, 4.0, 8.0), Request(4.5, 4.7, 2.0), Request(6.0, 6.05, 20.0)]
    _, joules = run(requests, until_s=10)
    assert joules == [pytest.approx(8.0), pytest.approx(0.4), pytest.approx(1.0)]


def test_equal_requests_that_overlap_share_equally() -> None:
    _, joules = run([Request(3.0, 5.0, 6.0), Request(3.0, 5.0, 6.0001)], until_s=10)
    assert joules == [pytest.approx(12.0, rel=1e-3)] * 2


def test_a_heavy_and_a_light_request_that_overlap_share_in_proportion_to_their_power() -> None:
    _, joules = run([Request(3.0, 5.0, 8.0), Request(3.1, 4.9, 0.5)], until_s=10)
    assert joules == [pytest.approx(16.0, rel=0.02), pytest.approx(0.9, rel=0.02)]


@pytest.mark.parametrize("seed", range(5))
def test_answers_and_idle_add_up_to_the_energy_of_the_board(seed: int) -> None:
    """With overlapping requests, a noisy sensor and a profile whose idle power is wrong by a third."""
    rng = np.random.default_rng(seed)
    began = np.sort(rng.uniform(20, 280, 150))
    requests = [
        Request(float(at), float(at + rng.uniform(0.05, 2.0)), float(rng.choice([0.5, 8.0]))) for at in began
    ]
    meter, joules = run(
        requests, until_s=300, profile_idle_w=IDLE_W * 4 / 3, noise=lambda: float(rng.normal(0, 0.3))
    )
    board_j = 300 * IDLE_W + sum((one.ended - one.began) * one.power_w for one in requests)
    answers_j = sum(one for one in joules if one is not None)
    assert None not in joules
    assert meter.totals.total_j == pytest.approx(board_j, rel=0.01)
    assert answers_j + meter.totals.idle_j == pytest.approx(meter.totals.total_j, rel=0.02)
    assert answers_j + meter.totals.idle_j == pytest.approx(board_j, rel=0.02)


def test_every_joule_is_accounted_for_exactly() -> None:
    rng = np.random.default_rng(0)
    requests = [Request(float(at), float(at) + 0.7, 8.0) for at in rng.uniform(1, 50, 40)]
    meter, joules = run(requests, until_s=60, noise=lambda: float(rng.normal(0, 3)))
    totals = meter.totals
    assert totals.answers_j + totals.idle_j + totals.other_j == pytest.approx(totals.total_j)
    assert totals.answers_j == pytest.approx(sum(one or 0.0 for one in joules))


def test_the_idle_power_is_measured_while_there_is_no_request() -> None:
    meter, _ = run([], until_s=30, idle_w=3.2, profile_idle_w=10.0)
    assert meter.idle_w == pytest.approx(3.2)


def test_the_idle_power_is_not_measured_during_or_right_after_requests() -> None:
    meter, _ = run([Request(0.5, 1.5, 50.0)], until_s=3.0)
    assert meter.idle_w == IDLE_W


def test_power_without_a_request_is_other_energy() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    window = meter.begin(weight=8.0, now=0.0)
    meter.end(window, now=0.0, resolution_s=0.01)
    for at, power_w in ((0.0, 5.0), (1.0, 25.0)):  # within SETTLE_S, while idle is not measured
        meter.observe(at, power_w)
    assert (meter.totals.answers_j, meter.totals.other_j) == (0.0, 20.0)


def test_a_gap_in_the_samples_is_not_measured() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=0.2)
    meter.observe(0.0, 5.0)
    meter.observe(0.2, 5.0)
    window = meter.begin(weight=8.0, now=0.3)
    meter.observe(3.0, 13.0)
    assert meter.end(window, now=3.0, resolution_s=0.2) is None
    assert meter.totals.total_j == pytest.approx(1.0)


@pytest.mark.parametrize("samples", [[], [0.0]], ids=["never", "before only"])
def test_a_request_without_samples_is_not_measured(samples: list[float]) -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    for at in samples:
        meter.observe(at, 5.0)
    window = meter.begin(weight=8.0, now=0.1)
    assert meter.end(window, now=2.0, resolution_s=1.0) is None


def test_a_request_shorter_than_the_resolution_is_not_measured() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    meter.observe(0.0, 5.0)
    window = meter.begin(weight=8.0, now=0.5)
    meter.observe(0.6, 13.0)
    assert meter.end(window, now=0.6, resolution_s=1.0) is None


def test_an_answer_at_less_than_idle_power_has_no_energy() -> None:
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    meter.observe(0.0, 5.0)
    window = meter.begin(weight=8.0, now=0.0)
    meter.observe(1.0, 4.0)
    assert meter.end(window, now=1.0, resolution_s=1.0) == 0.0
    totals = meter.totals
    assert totals.answers_j + totals.idle_j + totals.other_j == pytest.approx(totals.total_j)
