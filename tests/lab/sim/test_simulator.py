"""The simulator on a constructed trace, with several policies."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from constructed import constructed_trace
from controller import Arm, Context, Execution, FollowUp, Policy
from lab.errors import BenchError
from lab.policies.baselines import Always, ShareMatchedRandom
from lab.policies.inarvl import seeded_controller, settings_for
from lab.policies.oracle import Oracle
from lab.policies.prices import idle_prices
from lab.policies.rival import Choice
from lab.replay.replay_result import ReplayResult, result_of
from lab.replay.summary import summarise
from lab.sim.cost_profile import (
    JETSON_WAN,
    OFFLINE,
    POWER_HUNGRY_BOARD,
    SLOW_BOARD,
    CostProfile,
    profile_named,
)
from lab.sim.dataset import Dataset, half_of, prepare
from lab.sim.drift_scripts import DRIFTS, SCRIPTS, STEADY, DriftScript, script_named
from lab.sim.feedback import Feedback
from lab.sim.simulator import replay
from lab.sim.workload import Workload

COUNT = 240


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare(constructed_trace(900), JETSON_WAN)


@pytest.fixture(scope="module")
def tuning(dataset: Dataset) -> Dataset:
    return dataset.half("tune")


def test_a_trace_without_texts_is_refused() -> None:
    trace = constructed_trace(30)
    runs = {arm: tuple(run and replace(run, answer=None) for run in runs) for arm, runs in trace.runs.items()}
    with pytest.raises(BenchError, match="no texts of answers: record it again"):
        prepare(replace(trace, runs=runs), JETSON_WAN)


def workload_of(
    dataset: Dataset,
    *,
    script: DriftScript = STEADY,
    profile: CostProfile = JETSON_WAN,
    seed: int = 0,
    feedback: Feedback | None = None,
) -> Workload:
    return Workload(dataset.half("report"), profile, script, count=COUNT, seed=seed, feedback=feedback)


def play(workload: Workload, policy: Policy[Any]) -> ReplayResult:
    dataset = workload.dataset
    return result_of(replay(workload, policy, "policy"), workload, dataset)


def always(dataset: Dataset, tier: str) -> Always:
    return Always(dataset.arms[dataset.best_column(tier)])


def test_the_same_seed_gives_the_same_replay(dataset: Dataset, tuning: Dataset) -> None:
    settings = settings_for(tuning, JETSON_WAN)
    one, two = (play(workload_of(dataset), seeded_controller(settings, seed=3)) for _ in range(2))
    assert np.array_equal(one.cost, two.cost)
    assert np.array_equal(one["answer_risk"], two["answer_risk"], equal_nan=True)
    other = play(workload_of(dataset, seed=1), seeded_controller(settings, seed=3))
    assert not np.array_equal(one.cost, other.cost)


def test_policies_with_the_same_seed_get_the_same_questions_and_noise(dataset: Dataset) -> None:
    one, two = workload_of(dataset), workload_of(dataset)
    play(one, always(dataset, "cloud"))
    play(two, always(dataset, "local"))
    for attribute in ("rows", "arrivals", "compute_ms", "link_noise", "spoil_draw", "has_feedback"):
        assert getattr(one, attribute) == getattr(two, attribute)


def test_a_group_is_never_in_both_halves(dataset: Dataset) -> None:
    tune, report = dataset.half("tune"), dataset.half("report")
    assert not set(tune.groups) & set(report.groups)
    assert len(tune) + len(report) == len(dataset)
    assert {half_of(group) for group in tune.groups} == {"tune"}


def test_always_cloud_has_the_reference_accuracy_and_always_edge_never_calls_the_cloud(
    dataset: Dataset,
) -> None:
    cloud = play(workload_of(dataset), always(dataset, "cloud"))
    assert summarise(cloud).kept == 1.0
    assert summarise(cloud).calls == 1.0
    edge = summarise(play(workload_of(dataset), always(dataset, "local")))
    assert (edge.edge_share, edge.calls, edge.cloud_j) == (1.0, 0.0, 0.0)


def test_latency_is_at_least_that_of_an_idle_system_and_rises_with_load(dataset: Dataset) -> None:
    workload = workload_of(dataset)
    result = play(workload, always(dataset, "cloud"))
    column = dataset.best_column("cloud")
    for number in range(COUNT):
        path = sum(workload.true_path(workload.arrivals[number], workload.payload_bytes[number][column]))
        idle_ms = workload.compute_ms[number][column] + path * workload.link_noise[number][column]
        assert result["latency_ms"][number] >= idle_ms - 1e-6
    rare = play(workload_of(dataset, profile=replace(JETSON_WAN, gap_s=60.0)), always(dataset, "cloud"))
    assert rare["latency_ms"].mean() < result["latency_ms"].mean()


def test_the_oracle_is_right_whenever_any_arm_is_and_cheaper_than_always_cloud(dataset: Dataset) -> None:
    workload = workload_of(dataset)
    oracle = play(workload, Oracle(workload))
    assert np.array_equal(oracle["correct"] > 0, workload.correct().max(axis=1) > 0)
    assert oracle.cost.mean() < play(workload, always(dataset, "cloud")).cost.mean()


def test_random_routing_has_the_configured_share(dataset: Dataset) -> None:
    arms = dataset.arms
    random = ShareMatchedRandom(
        arms[dataset.best_column("local")], arms[dataset.best_column("cloud")], 0.5, seed=1
    )
    assert summarise(play(workload_of(dataset), random)).edge_share == pytest.approx(0.5, abs=0.1)


def test_an_audit_costs_energy_and_a_call_but_no_latency(dataset: Dataset, tuning: Dataset) -> None:
    generous = settings_for(tuning, JETSON_WAN, floor=0.5, audit_budget=0.5)
    result = play(workload_of(dataset), seeded_controller(generous, seed=0))
    audited = result["audited"] > 0
    assert audited.any()
    assert (result["cloud_calls"][audited] >= 1).all()
    assert (result["cloud_j"][audited] > 0).all()
    kept = result.on_board & ~audited & (result["escalated"] == 0) & (result["failures"] == 0)
    assert result["latency_ms"][audited].mean() < 2 * result["latency_ms"][kept].mean()
    assert result["device_j"][audited].mean() > result["device_j"][kept].mean()


def test_calls_during_an_outage_time_out_and_the_board_answers(dataset: Dataset) -> None:
    result = play(workload_of(dataset, script=DRIFTS["cloud-outage"]), always(dataset, "cloud"))
    failed = result["failures"] > 0
    assert failed.any()
    assert (result["latency_ms"][failed] >= JETSON_WAN.timeout_ms).all()
    assert result.on_board[failed].all()
    during = result.part(result.phase == 1)
    assert during.on_board.mean() > 0.9  # probes have found that the cloud is not reachable


def test_without_a_link_the_board_answers_everything(dataset: Dataset, tuning: Dataset) -> None:
    result = play(
        workload_of(dataset, profile=OFFLINE), seeded_controller(settings_for(tuning, OFFLINE), seed=0)
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
def test_a_script_makes_the_disturbed_tier_slower(dataset: Dataset, script: str, tier: str) -> None:
    result = play(workload_of(dataset, script=DRIFTS[script]), always(dataset, tier))
    before, during = result.part(result.phase == 0), result.part(result.phase == 1)
    during = during.part(slice(COUNT // 6, None))  # the board heats up slowly
    assert during["latency_ms"].mean() > 1.2 * before["latency_ms"].mean()


@pytest.mark.parametrize("script", ["content-swap", "camera-degrades", "worse-cloud"])
def test_a_script_makes_the_affected_tier_less_accurate(dataset: Dataset, script: str) -> None:
    tier = "cloud" if script == "worse-cloud" else "local"
    result = play(workload_of(dataset, script=DRIFTS[script]), always(dataset, tier))
    before, during = result.part(result.phase == 0), result.part(result.phase == 1)
    assert during["correct"].mean() < before["correct"].mean()


def test_feedback_is_delayed_and_given_only_for_its_share(dataset: Dataset) -> None:
    received: list[tuple[int, float]] = []

    class FeedbackRecorder(Always):
        def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
            received.append((int(decision_id), now))
            return True

    workload = workload_of(dataset, feedback=Feedback(share=0.3, mean_delay_s=20.0))
    play(workload, FeedbackRecorder(dataset.arms[dataset.best_column("cloud")]))
    assert len(received) == sum(workload.has_feedback)
    assert 0.15 * COUNT < len(received) < 0.45 * COUNT
    assert np.mean([now - workload.arrivals[number] for number, now in received]) > 5.0


def test_the_error_for_an_unknown_name_lists_the_known_ones() -> None:
    for find in (profile_named, script_named):
        with pytest.raises(BenchError, match="use one of"):
            find("nonsense")
    assert set(DRIFTS) < set(SCRIPTS)


def test_a_board_fault_spoils_a_quarter_of_its_answers_and_leaves_their_confidence(dataset: Dataset) -> None:
    workload, undisturbed = workload_of(dataset, script=DRIFTS["board-fault"]), workload_of(dataset)
    assert workload.rows == undisturbed.rows
    column, after = dataset.best_column("local"), workload.starts[1]
    changed = [
        workload.answer(number, column, workload.arrivals[number])
        != undisturbed.answer(number, column, undisturbed.arrivals[number])
        for number in range(COUNT)
    ]
    assert not any(changed[:after])
    assert 0.15 < np.mean(changed[after:]) < 0.35
    kept = {(-1.0 if c is None else c) for c in confidences_seen(workload, column)}
    assert kept == {(-1.0 if c is None else c) for c in confidences_seen(undisturbed, column)}


def confidences_seen(workload: Workload, column: int) -> list[float | None]:
    seen = []

    class ConfidenceRecorder(Always):
        def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
            assert execution.confidence is not None
            seen.append(execution.confidence.first_token_margin)
            return super().escalate(decision, execution, now=now)

    play(workload, ConfidenceRecorder(workload.dataset.arms[column]))
    return seen


def test_a_quarter_of_the_right_answers_of_a_worse_cloud_are_wrong_twice(dataset: Dataset) -> None:
    workload = workload_of(dataset, script=DRIFTS["worse-cloud-twice"])
    right = workload.correct()[:, dataset.best_column("cloud")]
    undisturbed = workload_of(dataset).correct()[:, dataset.best_column("cloud")]
    lost = [float((undisturbed - right)[workload.phase == phase].mean()) for phase in range(5)]
    assert [loss > 0.1 for loss in lost] == [False, True, False, True, False]


def test_all_right_answers_are_the_same_one_by_one_and_together(dataset: Dataset) -> None:
    for name in ("board-fault", "worse-cloud-twice"):
        workload = workload_of(dataset, script=DRIFTS[name])
        one_by_one = [
            [workload.answer(i, column, workload.arrivals[i])[1] for column in range(len(dataset.arms))]
            for i in range(COUNT)
        ]
        assert np.array_equal(workload.correct(), np.array(one_by_one, dtype=float))


@pytest.mark.parametrize("tier", ["cloud", "local"])
def test_a_model_that_left_is_not_offered(dataset: Dataset, tier: str) -> None:
    offered: list[set[str]] = []

    class OfferRecorder(Always):
        def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
            offered.append({arm.model for arm in available})
            return super().choose(number, context, available)

    script = DRIFTS["cloud-model-leaves" if tier == "cloud" else "board-model-leaves"]
    workload = workload_of(dataset, script=script)
    best = dataset.arms[dataset.best_column(tier)].model
    result = play(workload, OfferRecorder(dataset.arms[dataset.best_column("local")]))
    with_best = np.array([best in models for models in offered])
    assert np.array_equal(with_best, result.phase != 1)
    assert all(len(models) >= 3 for models in offered)


def test_the_reference_is_the_best_cloud_arm_that_exists(dataset: Dataset) -> None:
    workload = workload_of(dataset, script=DRIFTS["cloud-model-leaves"])
    half = workload.dataset
    best = half.best_column("cloud")
    others = [c for c in half.columns_of("cloud") if half.arms[c].model != half.arms[best].model]
    second = max(others, key=lambda column: half.correct[:, column].mean())
    result = play(workload, always(dataset, "local"))
    for column, phase in ((best, 0), (second, 1), (best, 2)):
        right = half.correct[workload.rows, column]
        assert np.array_equal(result.reference[result.phase == phase], right[result.phase == phase])


def test_a_script_that_removes_the_only_model_of_a_tier_is_refused(dataset: Dataset) -> None:
    best = dataset.arms[dataset.best_column("cloud")].model
    columns = [c for c, arm in enumerate(dataset.arms) if arm.tier == "local" or arm.model == best]
    with pytest.raises(BenchError, match="only one cloud model"):
        workload_of(dataset.select_arms(columns), script=DRIFTS["cloud-model-leaves"])


def test_a_slow_cloud_is_slower_at_the_same_link(dataset: Dataset) -> None:
    workload = workload_of(dataset, script=DRIFTS["slow-cloud"])
    result = play(workload, always(dataset, "cloud"))
    before, during = result.part(result.phase == 0), result.part(result.phase == 1)
    assert during["latency_ms"].mean() > 2 * before["latency_ms"].mean()
    rtts = [link.rtt_ms for time in workload.arrivals if (link := workload.link(time)) is not None]
    assert max(rtts) < 1.5 * min(rtts)


def test_phases_alternate_until_the_end(dataset: Dataset) -> None:
    workload = workload_of(dataset, script=DRIFTS["link-flaps"])
    assert workload.phase.tolist() == [number // 30 % 2 for number in range(COUNT)]
    down = [workload.conditions(time).down for time in workload.arrivals]
    assert down == [phase == 1 for phase in workload.phase]


def test_questions_arrive_faster_in_bursts(dataset: Dataset) -> None:
    workload = workload_of(dataset, script=DRIFTS["bursts"])
    gaps = np.diff(workload.arrivals, prepend=0.0)
    assert gaps[workload.phase == 1].mean() < 0.3 * gaps[workload.phase == 0].mean()


def test_a_fifth_of_the_reports_is_false(dataset: Dataset) -> None:
    reports: dict[int, bool] = {}

    class ReportRecorder(Always):
        def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
            reports[int(decision_id)] = correct
            return True

    workload = workload_of(dataset, script=DRIFTS["wrong-feedback"])
    result = play(workload, ReportRecorder(dataset.arms[dataset.best_column("cloud")]))
    assert len(reports) == COUNT
    false = np.mean([correct != bool(result["correct"][number]) for number, correct in reports.items()])
    assert 0.1 < false < 0.3


def test_scripts_set_the_share_of_feedback(dataset: Dataset) -> None:
    assert not any(workload_of(dataset, script=DRIFTS["board-fault-no-feedback"]).has_feedback)
    assert all(workload_of(dataset, script=DRIFTS["board-fault-full-feedback"]).has_feedback)


def test_the_profiles_with_a_poor_board_have_one(dataset: Dataset) -> None:
    def idle(profile: CostProfile) -> tuple[float, float]:
        prepared = prepare(constructed_trace(300), profile)
        prices = idle_prices(prepared, profile)
        return float(prices[prepared.columns_of("local")].min()), float(
            prices[prepared.columns_of("cloud")].min()
        )

    slow, cloud = idle(SLOW_BOARD)
    assert slow > 1.2 * cloud
    hungry, cloud = idle(POWER_HUNGRY_BOARD)
    normal, same_cloud = idle(JETSON_WAN)
    assert (hungry > 1.5 * normal, cloud) == (True, same_cloud)
