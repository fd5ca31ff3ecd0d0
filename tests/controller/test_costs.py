"""Costs follow the link by computation, and the server and the board by learning."""

import json
from dataclasses import replace

import numpy as np
import pytest

from controller.arm import Arm
from controller.context import DeviceState, LinkState, Option
from controller.costs import Costs, Estimate
from controller.drift import DriftEvent
from controller.link import path_ms
from controller.outcome import Execution
from controller.roster import Roster
from controller.settings import ControllerSettings, LinkDefaults, PowerModel, Prior

BOARD = Arm("local", "small", 96, "board")
CLOUD = Arm("cloud", "big", 0, "peer")
SETTINGS = ControllerSettings(
    priors={BOARD.skill: Prior(200.0, 0.6), CLOUD.skill: Prior(250.0, 0.9)},
    power=PowerModel(local_w=10.0, wait_w=1.0, radio_w=2.0, radio_j_per_mb=0.0),
)
LINK = LinkState(rtt_ms=50.0, uplink_mbps=8.0)
IDLE = DeviceState()


def roster(*options: Option) -> Roster:
    return Roster(tuple(option.arm for option in options), SETTINGS)


def one(costs: Costs, option: Option, device: DeviceState = IDLE) -> Estimate:
    return costs.predict(roster(option), [option], device).of(0)


def shown(
    costs: Costs, option: Option, runs: list[Execution], device: DeviceState = IDLE
) -> list[DriftEvent | None]:
    return [costs.learn(one(costs, option, device), device, run, float(i)) for i, run in enumerate(runs)]


def test_the_path_is_a_round_trip_and_the_payload_at_the_uplink() -> None:
    assert sum(path_ms(LINK, 100_000, LinkDefaults())) == pytest.approx(150.0)


def test_an_unmeasured_link_is_taken_for_the_default_one() -> None:
    defaults = LinkDefaults(rtt_ms=70.0, uplink_mbps=4.0)
    assert path_ms(None, 50_000, defaults) == path_ms(LinkState(), 50_000, defaults) == (70.0, 100.0)


def test_loss_slows_the_transfer() -> None:
    lossy = LinkState(rtt_ms=50.0, uplink_mbps=8.0, loss=0.05)
    assert path_ms(lossy, 100_000, LinkDefaults())[1] > 2 * path_ms(LINK, 100_000, LinkDefaults())[1]


def test_before_anything_is_learned_the_prior_holds() -> None:
    costs = Costs(SETTINGS)
    options = [Option(BOARD), Option(CLOUD, 100_000, link=LINK)]
    estimates = costs.predict(roster(*options), options, IDLE)
    board, cloud = estimates.of(0), estimates.of(1)
    assert board.latency_ms == pytest.approx(200.0)
    assert board.energy_j == pytest.approx(2.0)
    assert cloud.latency_ms == pytest.approx(400.0)
    assert cloud.energy_j == pytest.approx(0.4 + 0.2)


def test_latency_is_learned_apart_from_the_link() -> None:
    costs = Costs(SETTINGS)
    option = Option(CLOUD, 100_000, link=LINK)
    shown(costs, option, [Execution(CLOUD, 750.0, compute_ms=600.0, queue_ms=0.0)] * 40)
    assert one(costs, option).latency_ms == pytest.approx(750.0, rel=0.05)
    slow = Option(CLOUD, 100_000, link=LinkState(rtt_ms=500.0, uplink_mbps=8.0))
    assert one(costs, slow).latency_ms == pytest.approx(1200.0, rel=0.05)


def test_a_server_that_does_not_tell_its_share_is_learned_without_the_link() -> None:
    costs = Costs(SETTINGS)
    option = Option(CLOUD, 100_000, link=LINK)
    shown(costs, option, [Execution(CLOUD, 750.0)] * 40)
    assert one(costs, option).latency_ms == pytest.approx(750.0, rel=0.05)


def test_a_link_that_was_overrated_is_corrected() -> None:
    costs = Costs(SETTINGS)
    option = Option(CLOUD, 1000)
    shown(costs, option, [Execution(CLOUD, 40.0)] * 60)
    assert one(costs, option).latency_ms == pytest.approx(40.0, rel=0.3)


def test_a_true_path_longer_than_computed_is_learned_as_a_ratio() -> None:
    costs = Costs(SETTINGS)
    option = Option(CLOUD, 100_000, link=LINK)
    shown(costs, option, [Execution(CLOUD, 700.0, compute_ms=250.0, queue_ms=0.0)] * 40)
    twice = Option(CLOUD, 100_000, link=LinkState(rtt_ms=100.0, uplink_mbps=4.0))
    assert one(costs, twice).latency_ms == pytest.approx(250.0 + 900.0, rel=0.1)


def test_load_is_learned() -> None:
    costs = Costs(SETTINGS)
    rng = np.random.default_rng(0)
    for _ in range(300):
        load = float(rng.random())
        shown(costs, Option(BOARD), [Execution(BOARD, 100.0 * (1 + 2 * load))], DeviceState(cpu_load=load))
    assert one(costs, Option(BOARD), DeviceState(cpu_load=0.0)).latency_ms == pytest.approx(100.0, rel=0.15)
    assert one(costs, Option(BOARD), DeviceState(cpu_load=1.0)).latency_ms == pytest.approx(300.0, rel=0.15)


def test_waiting_requests_multiply_a_servers_time_until_shown_otherwise() -> None:
    costs = Costs(SETTINGS)
    assert one(costs, Option(BOARD, queue=2)).latency_ms == pytest.approx(600.0)
    assert one(costs, Option(BOARD, queue=2)).energy_j == pytest.approx(2.0)
    rng = np.random.default_rng(0)
    for _ in range(300):
        shown(costs, Option(BOARD, queue=int(rng.integers(4))), [Execution(BOARD, 200.0)])
    assert one(costs, Option(BOARD, queue=2)).latency_ms == pytest.approx(200.0, rel=0.2)


def test_measured_energy_corrects_the_power_model() -> None:
    costs = Costs(SETTINGS)
    shown(costs, Option(BOARD), [Execution(BOARD, 200.0, energy_j=1.0)] * 40)
    assert one(costs, Option(BOARD)).energy_j == pytest.approx(1.0, rel=0.05)


def test_a_single_slow_run_moves_little_and_a_lasting_change_is_followed_and_told() -> None:
    costs = Costs(SETTINGS)
    rng = np.random.default_rng(0)
    usual = [Execution(BOARD, 100.0 * float(np.exp(0.1 * rng.normal()))) for _ in range(100)]
    assert not any(shown(costs, Option(BOARD), usual))
    assert shown(costs, Option(BOARD), [Execution(BOARD, 5000.0)]) == [None]
    assert one(costs, Option(BOARD)).latency_ms < 130.0
    events = [event for event in shown(costs, Option(BOARD), [Execution(BOARD, 800.0)] * 15) if event]
    assert [(event.kind, event.subject, event.direction) for event in events][:1] == [
        ("latency", BOARD.id, "up")
    ]
    assert one(costs, Option(BOARD)).latency_ms == pytest.approx(800.0, rel=0.2)


def test_one_pause_under_many_runs_at_once_is_not_taken_for_a_lasting_change() -> None:
    together, in_turn = Costs(SETTINGS), Costs(SETTINGS)
    for costs in (together, in_turn):
        shown(costs, Option(BOARD), [Execution(BOARD, 100.0)] * 100)
    under_way = [one(together, Option(BOARD)) for _ in range(8)]
    slow = Execution(BOARD, 3000.0)
    assert [together.learn(estimate, IDLE, slow, 0.0) for estimate in under_way] == [None] * 8
    assert any(shown(in_turn, Option(BOARD), [slow] * 8))
    assert one(together, Option(BOARD)).latency_ms < 300.0 < one(in_turn, Option(BOARD)).latency_ms


def test_a_lasting_change_is_followed_with_many_runs_at_once_too() -> None:
    costs = Costs(SETTINGS)
    shown(costs, Option(BOARD), [Execution(BOARD, 100.0)] * 100)
    for _ in range(15):
        for estimate in [one(costs, Option(BOARD)) for _ in range(8)]:
            costs.learn(estimate, IDLE, Execution(BOARD, 800.0), 0.0)
    assert one(costs, Option(BOARD)).latency_ms == pytest.approx(800.0, rel=0.2)


def test_an_arm_grows_uncertain_while_it_is_not_run() -> None:
    costs = Costs(SETTINGS)
    shown(costs, Option(BOARD), [Execution(BOARD, 100.0)] * 50)
    known = one(costs, Option(BOARD)).ignorance
    for _ in range(100):
        one(costs, Option(BOARD))
    assert one(costs, Option(BOARD)).ignorance > 3 * known
    shown(costs, Option(BOARD), [Execution(BOARD, 300.0)])
    assert one(costs, Option(BOARD)).latency_ms > 200.0


def test_a_failed_run_teaches_no_cost() -> None:
    costs = Costs(SETTINGS)
    before = one(costs, Option(BOARD))
    assert shown(costs, Option(BOARD), [Execution(BOARD, None, failure="timeout")]) == [None]
    assert one(costs, Option(BOARD)).latency_ms == before.latency_ms


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_spoils_nothing(value: float) -> None:
    costs, option = Costs(SETTINGS), Option(BOARD)
    run = Execution(BOARD, 200.0, 200.0, 0.0, 2.0, "yes")
    names = ("cpu_load", "gpu_load", "clock_ratio", "temp_c", "power_w", "memory_pressure")
    devices = [DeviceState(**{name: value}) for name in names]
    runs = [replace(run, **{name: value}) for name in ("latency_ms", "compute_ms", "queue_ms", "energy_j")]
    for device in devices:
        shown(costs, option, [run], device)
    shown(costs, option, runs)
    json.dumps(costs.snapshot(), allow_nan=False)
    estimate = one(costs, option, devices[0])
    assert np.isfinite([estimate.latency_ms, estimate.late_ms, estimate.energy_j]).all()
