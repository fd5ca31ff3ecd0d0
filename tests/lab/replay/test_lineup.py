"""Every policy in the lineup answers all questions, and gives the same result when run again."""

import numpy as np
import pytest

from constructed import constructed_trace
from controller import NoArm, Option
from lab.errors import BenchError
from lab.policies.accuracy_predictors import fit_factorisation, fit_knn
from lab.policies.baselines import Always
from lab.policies.cascade import fit_pair
from lab.policies.complexity import QualityTable
from lab.policies.prices import idle_prices
from lab.probabilities import auroc
from lab.replay.lineup import LINEUP, PRICE_KNOBS, entry_named
from lab.replay.policy_inputs import PolicyInputs
from lab.replay.replay_result import ReplayResult, result_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.sim.drift_scripts import DRIFTS, STEADY, DriftScript
from lab.sim.numbered_context import NumberedContext
from lab.sim.simulator import replay
from lab.sim.workload import Workload

COUNT = 120


@pytest.fixture(scope="module")
def halves() -> tuple[Dataset, Dataset]:
    dataset = prepare(constructed_trace(900), JETSON_WAN)
    return dataset.half("tune"), dataset.half("report")


def play(
    halves: tuple[Dataset, Dataset], name: str, knob: float, *, script: DriftScript = STEADY
) -> ReplayResult:
    tuning, reported = halves
    workload = Workload(reported, JETSON_WAN, script, count=COUNT, seed=2)
    policy = entry_named(name).make(PolicyInputs(tuning, JETSON_WAN, workload, 2, knob))
    return result_of(replay(workload, policy, name), workload, tuning)


@pytest.mark.parametrize("name", LINEUP)
def test_a_policy_answers_everything_and_is_reproducible(halves: tuple[Dataset, Dataset], name: str) -> None:
    knob = LINEUP[name].knobs[0]
    one, two = (play(halves, name, knob, script=DRIFTS["cloud-outage"]) for _ in range(2))
    assert np.array_equal(one.cost, two.cost)
    assert (one["latency_ms"] > 0).all()
    answered = one["failures"] <= 1  # the board, or the cloud after one arm failed
    assert answered.all()
    assert one["correct"].mean() > 0.3


@pytest.mark.parametrize(
    "name",
    ["random", "static-pareto", "thresholds", "cascade-raw", "cascade-isotonic", "knn", "factorisation"],
)
def test_a_knob_trades_cost_for_accuracy(halves: tuple[Dataset, Dataset], name: str) -> None:
    swept = LINEUP[name].knobs
    knobs = sorted((min(swept), max(swept)), reverse=swept == PRICE_KNOBS)
    cheap, careful = (play(halves, name, knob) for knob in knobs)
    assert cheap.cost.mean() < careful.cost.mean()
    assert cheap["correct"].mean() < careful["correct"].mean()


def test_predictors_are_better_than_averages(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    local = tuning.best_column("local")
    table = QualityTable.fit(tuning)
    cells = table.cells(reported.matrix)
    predicted = {
        "knn": fit_knn(tuning)(reported.matrix)[:, local],
        "factorisation": fit_factorisation(tuning)(reported.matrix)[:, local],
        "table": table.accuracy[cells[0], cells[1], local],
    }
    for name, probability in predicted.items():
        assert auroc(probability, reported.correct[:, local]) > 0.58, name


def test_a_cascade_pairs_arms_of_both_tiers_and_its_confidence_predicts_right_answers(
    halves: tuple[Dataset, Dataset],
) -> None:
    tuning, reported = halves
    pair = fit_pair(tuning, idle_prices(tuning, JETSON_WAN), "isotonic")
    assert (pair.local.tier, pair.cloud.tier) == ("local", "cloud")
    column = tuning.arms.index(pair.local)
    confidence = np.array([pair.confidence(row[column]) for row in reported.confidences])
    assert auroc(confidence, reported.correct[:, column]) > 0.7
    assert pair.threshold(0.2) <= pair.threshold(0.8)


def test_the_error_for_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(BenchError, match="use one of inarvl"):
        entry_named("nonsense")


def test_when_the_cloud_is_blocked_the_most_accurate_local_arm_is_chosen(
    halves: tuple[Dataset, Dataset],
) -> None:
    tuning, reported = halves
    workload = Workload(reported, JETSON_WAN, STEADY, count=20, seed=0)
    inputs = PolicyInputs(tuning, JETSON_WAN, workload, 0, 0.0)
    policy = Always(inputs.cloud)
    policy.ranking = inputs.ranking
    options = tuple(
        Option(arm, blocked="not reachable" if arm.tier == "cloud" else None) for arm in tuning.arms
    )
    choice = policy.decide(NumberedContext(tuning.signals[0], options, number=0), now=0.0)
    assert choice.arm == inputs.edge


@pytest.mark.parametrize("name", ["always-cloud", "inarvl-cold"])
def test_no_policy_decides_when_every_arm_is_blocked(halves: tuple[Dataset, Dataset], name: str) -> None:
    tuning, reported = halves
    workload = Workload(reported, JETSON_WAN, STEADY, count=20, seed=0)
    policy = entry_named(name).make(PolicyInputs(tuning, JETSON_WAN, workload, 0, 0.0))
    options = tuple(Option(arm, blocked="not reachable") for arm in tuning.arms)
    with pytest.raises(NoArm):
        policy.decide(NumberedContext(tuning.signals[0], options, number=0), now=0.0)
