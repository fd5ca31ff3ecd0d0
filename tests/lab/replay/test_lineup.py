"""Every policy in the lineup answers what can be answered, and does the same when run again."""

import numpy as np
import pytest

from constructed import constructed_trace
from controller import NoArm, Option
from lab.errors import BenchError
from lab.policies.accuracy_predictors import fit_factorisation, fit_knn
from lab.policies.baselines import Always
from lab.policies.cascade import fit_pair
from lab.policies.complexity import QualityTable
from lab.policies.prices import prices_at_rest
from lab.replay.lineup import ENTRIES, WORTHS, entry_named
from lab.replay.policy_inputs import Setting
from lab.replay.replay_result import Result, result_of
from lab.replay.summary import auroc
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.sim.drift_scripts import DRIFTS, STEADY, Script
from lab.sim.numbered_context import NumberedContext
from lab.sim.simulator import replay
from lab.sim.workload import Stream

COUNT = 120


@pytest.fixture(scope="module")
def halves() -> tuple[Dataset, Dataset]:
    dataset = prepare(constructed_trace(900), JETSON_WAN)
    return dataset.half("tune"), dataset.half("report")


def play(halves: tuple[Dataset, Dataset], name: str, knob: float, *, script: Script = STEADY) -> Result:
    tuning, reported = halves
    stream = Stream(reported, JETSON_WAN, script, count=COUNT, seed=2)
    policy = entry_named(name).make(Setting(tuning, JETSON_WAN, stream, 2, knob))
    return result_of(replay(stream, policy, name), stream, tuning.best("cloud"), tuning.best("local"))


@pytest.mark.parametrize("name", ENTRIES)
def test_a_policy_answers_everything_and_the_same_again(halves: tuple[Dataset, Dataset], name: str) -> None:
    knob = ENTRIES[name].knobs[0]
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
    swept = ENTRIES[name].knobs
    knobs = sorted((min(swept), max(swept)), reverse=swept == WORTHS)
    cheap, careful = (play(halves, name, knob) for knob in knobs)
    assert cheap.cost.mean() < careful.cost.mean()
    assert cheap["correct"].mean() < careful["correct"].mean()


def test_predictors_know_more_than_averages(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    local = tuning.best("local")
    table = QualityTable.fit(tuning)
    cells = table.cells(reported.matrix)
    told = {
        "knn": fit_knn(tuning)(reported.matrix)[:, local],
        "factorisation": fit_factorisation(tuning)(reported.matrix)[:, local],
        "table": table.accuracy[cells[0], cells[1], local],
    }
    for name, chance in told.items():
        assert auroc(chance, reported.correct[:, local]) > 0.58, name


def test_a_cascade_pairs_arms_of_both_tiers_and_knows_sure_answers(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    pair = fit_pair(tuning, prices_at_rest(tuning, JETSON_WAN), "isotonic")
    assert (pair.local.tier, pair.cloud.tier) == ("local", "cloud")
    column = tuning.arms.index(pair.local)
    sure = np.array([pair.sure(row[column]) for row in reported.confidences])
    assert auroc(sure, reported.correct[:, column]) > 0.7
    assert pair.threshold(0.2) <= pair.threshold(0.8)


def test_an_unknown_policy_says_which_there_are() -> None:
    with pytest.raises(BenchError, match="use one of inarvl"):
        entry_named("nonsense")


def test_when_the_cloud_is_away_the_best_of_the_board_stands_in(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    stream = Stream(reported, JETSON_WAN, STEADY, count=20, seed=0)
    setting = Setting(tuning, JETSON_WAN, stream, 0, 0.0)
    policy = Always(setting.cloud)
    policy.ranking = setting.ranking
    options = tuple(Option(arm, blocked="away" if arm.tier == "cloud" else None) for arm in tuning.arms)
    choice = policy.decide(NumberedContext(tuning.signals[0], options, number=0), now=0.0)
    assert choice.arm == setting.edge


@pytest.mark.parametrize("name", ["always-cloud", "inarvl-cold"])
def test_no_policy_decides_when_every_arm_is_blocked(halves: tuple[Dataset, Dataset], name: str) -> None:
    tuning, reported = halves
    stream = Stream(reported, JETSON_WAN, STEADY, count=20, seed=0)
    policy = entry_named(name).make(Setting(tuning, JETSON_WAN, stream, 0, 0.0))
    options = tuple(Option(arm, blocked="not reachable") for arm in tuning.arms)
    with pytest.raises(NoArm):
        policy.decide(NumberedContext(tuning.signals[0], options, number=0), now=0.0)
