"""Each ablation removes exactly its part of the controller."""

import math
from dataclasses import replace

import pytest

from constructed import constructed_trace
from controller import Context, Controller, ControllerSettings, Option
from controller.learned import Learned
from controller.roster import differing
from lab.policies.inarvl import seeded_controller, settings_for
from lab.replay.ablations import ABLATIONS, WithoutFamiliarity, WithoutSignals, maker_named
from lab.replay.policy_inputs import PolicyInputs
from lab.replay.replay_result import ReplayResult, result_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.sim.drift_scripts import DRIFTS
from lab.sim.signals import RecordedSignals
from lab.sim.simulator import replay
from lab.sim.workload import Workload


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare(constructed_trace(600), JETSON_WAN)


def play(dataset: Dataset, name: str, *, count: int = 150) -> ReplayResult:
    tuning, reported = dataset.half("tune"), dataset.half("report")
    workload = Workload(reported, JETSON_WAN, DRIFTS["power-mode"], count=count, seed=1)
    policy = maker_named(name)(PolicyInputs(tuning, JETSON_WAN, workload, 1, 0.8))
    return result_of(replay(workload, policy, name), workload, tuning)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_answers_every_question(dataset: Dataset, name: str) -> None:
    result = play(dataset, name, count=60)
    assert (result["latency_ms"] > 0).all()
    assert result["failures"].sum() == 0


def test_without_drift_detection_there_is_no_alarm() -> None:
    settings = ControllerSettings()
    without_alarms = replace(settings, learning=replace(settings.learning, alarm_patience=math.inf))
    residuals = [3.0] * 50
    for tested, alarms in ((settings, True), (without_alarms, False)):
        detector = Learned(tested).detector("quality arm")
        assert any(detector.test(residual) for residual in residuals) == alarms


def test_the_audit_budget_limits_audits(dataset: Dataset) -> None:
    audited = [play(dataset, name)["audited"].sum() for name in ("audits 0%", "audits 20%")]
    assert audited[0] == 0
    assert audited[1] > 0


def test_without_familiarity_earlier_questions_do_not_change_the_risk(dataset: Dataset) -> None:
    settings = settings_for(dataset, JETSON_WAN)
    looks = ("picture", "scene", "scene asked so")
    signals = RecordedSignals(dataset.signals[0].vector(), looks)
    context = Context(signals, tuple(Option(arm) for arm in dataset.arms))
    for kind, unchanged in ((WithoutFamiliarity, True), (Controller, False)):
        policy = seeded_controller(settings, seed=0, kind=kind)
        before = policy.decide(context, now=0.0)
        for arm in dataset.arms:
            policy._learned.familiarity.learn(looks, differing(arm.skill), 0.5, 1.0)
        after = policy.decide(context, now=0.0)
        assert (before.risk == after.risk) == unchanged


def test_without_signals_all_questions_have_the_same_risk(dataset: Dataset) -> None:
    settings = settings_for(dataset, JETSON_WAN)
    options = tuple(Option(arm) for arm in dataset.arms)
    contexts = [Context(dataset.signals[row], options) for row in (0, 1)]
    for kind, same in ((WithoutSignals, True), (Controller, False)):
        policy = seeded_controller(settings, seed=0, kind=kind)
        risks = {policy.decide(context, now=0.0).risk for context in contexts}
        assert (len(risks) == 1) == same
