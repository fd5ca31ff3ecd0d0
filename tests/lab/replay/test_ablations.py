"""What an ablation takes away is gone, and nothing else is."""

import math
from dataclasses import replace

import pytest

from constructed import constructed_trace
from controller import Context, Controller, ControllerSettings, Option
from controller.learned import Learned
from controller.roster import differing
from lab.policies.inarvl import seeded_controller, settings_for
from lab.replay.ablations import ABLATIONS, Blind, Unfamiliar, maker_named
from lab.replay.policy_inputs import Setting
from lab.replay.replay_result import Result, result_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.sim.drift_scripts import DRIFTS
from lab.sim.signals import RecordedSignals
from lab.sim.simulator import replay
from lab.sim.workload import Stream


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare(constructed_trace(600), JETSON_WAN)


def play(dataset: Dataset, name: str, *, count: int = 150) -> Result:
    tuning, reported = dataset.half("tune"), dataset.half("report")
    stream = Stream(reported, JETSON_WAN, DRIFTS["power-mode"], count=count, seed=1)
    policy = maker_named(name)(Setting(tuning, JETSON_WAN, stream, 1, 0.8))
    return result_of(replay(stream, policy, name), stream, tuning.best("cloud"), tuning.best("local"))


@pytest.mark.parametrize("name", ABLATIONS)
def test_without_any_part_every_question_is_answered(dataset: Dataset, name: str) -> None:
    result = play(dataset, name, count=60)
    assert (result["latency_ms"] > 0).all()
    assert result["failures"].sum() == 0


def test_without_drift_detection_nothing_alarms() -> None:
    settings = ControllerSettings()
    deaf = replace(settings, learning=replace(settings.learning, alarm_patience=math.inf))
    residuals = [3.0] * 50
    for patience, alarms in ((settings, True), (deaf, False)):
        detector = Learned(patience).detector("quality it")
        assert any(detector.test(residual) for residual in residuals) == alarms


def test_without_audits_none_is_made_and_with_more_more_are(dataset: Dataset) -> None:
    audited = [play(dataset, name)["audited"].sum() for name in ("audits 0%", "audits 20%")]
    assert audited[0] == 0
    assert audited[1] > 0


def test_without_familiarity_what_was_met_before_tells_nothing(dataset: Dataset) -> None:
    settings = settings_for(dataset, JETSON_WAN)
    looks = ("picture", "scene", "scene asked so")
    signals = RecordedSignals(dataset.signals[0].vector(), looks)
    asked = Context(signals, tuple(Option(arm) for arm in dataset.arms))
    for kind, alike in ((Unfamiliar, True), (Controller, False)):
        policy = seeded_controller(settings, seed=0, kind=kind)
        before = policy.decide(asked, now=0.0)
        for arm in dataset.arms:
            policy._learned.familiarity.learn(looks, differing(arm.skill), 0.5, 1.0)
        after = policy.decide(asked, now=0.0)
        assert (before.risk == after.risk) == alike


def test_without_complexity_all_questions_look_alike(dataset: Dataset) -> None:
    settings = settings_for(dataset, JETSON_WAN)
    options = tuple(Option(arm) for arm in dataset.arms)
    asked = [Context(dataset.signals[row], options) for row in (0, 1)]
    for kind, alike in ((Blind, True), (Controller, False)):
        policy = seeded_controller(settings, seed=0, kind=kind)
        risks = {policy.decide(context, now=0.0).risk for context in asked}
        assert (len(risks) == 1) == alike
