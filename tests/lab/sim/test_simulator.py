"""The simulator on a constructed trace: what must hold whatever the policy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from constructed import constructed_trace
from controller import Policy
from lab.errors import BenchError
from lab.policies.baselines import Always, ShareMatchedRandom
from lab.policies.inarvl import seeded_controller, settings_for
from lab.policies.oracle import Oracle
from lab.replay.replay_result import Result, result_of
from lab.replay.summary import summarise
from lab.sim.cost_profile import JETSON_WAN, OFFLINE, CostProfile, profile_named
from lab.sim.dataset import Dataset, half_of, prepare
from lab.sim.drift_scripts import DRIFTS, SCRIPTS, STEADY, Script, script_named
from lab.sim.simulator import replay
from lab.sim.workload import Stream, Telling

COUNT = 240


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare(constructed_trace(900), JETSON_WAN)


@pytest.fixture(scope="module")
def tuning(dataset: Dataset) -> Dataset:
    return dataset.half("tune")


def stream_of(
    dataset: Dataset,
    *,
    script: Script = STEADY,
    profile: CostProfile = JETSON_WAN,
    seed: int = 0,
    telling: Telling | None = None,
) -> Stream:
    return Stream(dataset.half("report"), profile, script, count=COUNT, seed=seed, telling=telling)


def play(stream: Stream, policy: Policy[Any]) -> Result:
    dataset = stream.dataset
    return result_of(replay(stream, policy, "it"), stream, dataset.best("cloud"), dataset.best("local"))


def always(dataset: Dataset, tier: str) -> Always:
    return Always(dataset.arms[dataset.best(tier)])


def test_the_same_seed_gives_the_same_replay(dataset: Dataset, tuning: Dataset) -> None:
    settings = settings_for(tuning, JETSON_WAN)
    one, two = (play(stream_of(dataset), seeded_controller(settings, seed=3)) for _ in range(2))
    assert np.array_equal(one.cost, two.cost)
    assert np.array_equal(one["answer_risk"], two["answer_risk"], equal_nan=True)
    other = play(stream_of(dataset, seed=1), seeded_controller(settings, seed=3))
    assert not np.array_equal(one.cost, other.cost)


def test_policies_with_the_same_seed_meet_the_same_questions_and_noise(dataset: Dataset) -> None:
    one, two = stream_of(dataset), stream_of(dataset)
    play(one, always(dataset, "cloud"))
    play(two, always(dataset, "local"))
    for what in ("rows", "arrivals", "compute_ms", "path_noise", "spoilt", "told"):
        assert getattr(one, what) == getattr(two, what)


def test_a_group_is_never_in_both_halves(dataset: Dataset) -> None:
    tune, report = dataset.half("tune"), dataset.half("report")
    assert not set(tune.groups) & set(report.groups)
    assert len(tune) + len(report) == len(dataset)
    assert {half_of(group) for group in tune.groups} == {"tune"}


def test_always_cloud_keeps_the_reference_and_always_edge_never_calls(dataset: Dataset) -> None:
    cloud = play(stream_of(dataset), always(dataset, "cloud"))
    assert summarise(cloud).kept == 1.0
    assert summarise(cloud).calls == 1.0
    edge = summarise(play(stream_of(dataset), always(dataset, "local")))
    assert (edge.edge_share, edge.calls, edge.cloud_j) == (1.0, 0.0, 0.0)


def test_latency_is_that_of_an_idle_system_plus_queues(dataset: Dataset) -> None:
    stream = stream_of(dataset)
    result = play(stream, always(dataset, "cloud"))
    column = dataset.best("cloud")
    for number in range(COUNT):
        path = sum(stream.true_path(stream.arrivals[number], stream.payload_bytes[number][column]))
        least_ms = stream.compute_ms[number][column] + path * stream.path_noise[number][column]
        assert result["latency_ms"][number] >= least_ms - 1e-6
    rare = play(stream_of(dataset, profile=replace(JETSON_WAN, gap_s=60.0)), always(dataset, "cloud"))
    assert rare["latency_ms"].mean() < result["latency_ms"].mean()


def test_the_oracle_is_right_whenever_any_arm_is_and_cheaper_than_always_cloud(dataset: Dataset) -> None:
    stream = stream_of(dataset)
    oracle = play(stream, Oracle(stream))
    assert np.array_equal(oracle["correct"] > 0, stream.correct().max(axis=1) > 0)
    assert oracle.cost.mean() < play(stream, always(dataset, "cloud")).cost.mean()


def test_random_meets_its_share(dataset: Dataset) -> None:
    arms = dataset.arms
    coin = ShareMatchedRandom(arms[dataset.best("local")], arms[dataset.best("cloud")], 0.5, seed=1)
    assert summarise(play(stream_of(dataset), coin)).edge_share == pytest.approx(0.5, abs=0.1)


def test_an_audit_costs_energy_and_a_call_but_no_latency(dataset: Dataset, tuning: Dataset) -> None:
    generous = settings_for(tuning, JETSON_WAN, floor=0.5, audit_budget=0.5)
    result = play(stream_of(dataset), seeded_controller(generous, seed=0))
    audited = result["audited"] > 0
    assert audited.any()
    assert (result["cloud_calls"][audited] >= 1).all()
    assert (result["cloud_j"][audited] > 0).all()
    kept = result.on_board & ~audited & (result["escalated"] == 0) & (result["failures"] == 0)
    assert result["latency_ms"][audited].mean() < 2 * result["latency_ms"][kept].mean()
    assert result["device_j"][audited].mean() > result["device_j"][kept].mean()


def test_calls_into_an_outage_time_out_and_the_board_answers(dataset: Dataset) -> None:
    result = play(stream_of(dataset, script=DRIFTS["cloud-outage"]), always(dataset, "cloud"))
    failed = result["failures"] > 0
    assert failed.any()
    assert (result["latency_ms"][failed] >= JETSON_WAN.timeout_ms).all()
    assert result.on_board[failed].all()
    during = result.part(result.phase == 1)
    assert during.on_board.mean() > 0.9  # probes have told that the cloud is away


def test_offline_everything_is_answered_on_the_board(dataset: Dataset, tuning: Dataset) -> None:
    result = play(
        stream_of(dataset, profile=OFFLINE), seeded_controller(settings_for(tuning, OFFLINE), seed=0)
    )
    assert result.on_board.all()
    assert result["cloud_calls"].sum() == 0


@pytest.mark.parametrize(
    ("script", "tier"),
    [
        ("rtt-x4", "cloud"),
        ("uplink-1mbps", "cloud"),
        ("gpu-load", "local"),
        ("power-mode", "local"),
        ("hot", "local"),
    ],
)
def test_what_a_script_disturbs_gets_slower(dataset: Dataset, script: str, tier: str) -> None:
    result = play(stream_of(dataset, script=DRIFTS[script]), always(dataset, tier))
    before, during = result.part(result.phase == 0), result.part(result.phase == 1)
    during = during.part(slice(COUNT // 6, None))  # heat takes its time
    assert during["latency_ms"].mean() > 1.2 * before["latency_ms"].mean()


@pytest.mark.parametrize("script", ["content-swap", "camera-degrades", "worse-cloud"])
def test_what_a_script_spoils_is_wrong_more_often(dataset: Dataset, script: str) -> None:
    tier = "cloud" if script == "worse-cloud" else "local"
    result = play(stream_of(dataset, script=DRIFTS[script]), always(dataset, tier))
    before, during = result.part(result.phase == 0), result.part(result.phase == 1)
    assert during["correct"].mean() < before["correct"].mean()


def test_feedback_comes_late_and_only_for_its_share(dataset: Dataset) -> None:
    told: list[tuple[int, float]] = []

    class Listening(Always):
        def feedback(self, decision_id: str, correct: bool, *, now: float) -> bool:
            told.append((int(decision_id), now))
            return True

    stream = stream_of(dataset, telling=Telling(share=0.3, mean_delay_s=20.0))
    play(stream, Listening(dataset.arms[dataset.best("cloud")]))
    assert len(told) == sum(stream.told)
    assert 0.15 * COUNT < len(told) < 0.45 * COUNT
    assert np.mean([now - stream.arrivals[number] for number, now in told]) > 5.0


def test_unknown_names_say_what_there_is() -> None:
    for find in (profile_named, script_named):
        with pytest.raises(BenchError, match="use one of"):
            find("nonsense")
    assert set(DRIFTS) < set(SCRIPTS)
