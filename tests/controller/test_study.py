"""A warm start: what other controllers, or a trace, have learned of the models."""

import numpy as np
import pytest

from controller.arm import Arm
from controller.context import Context, Option
from controller.controller import Controller
from controller.errors import SnapshotError
from controller.outcome import Confidence
from controller.settings import ControllerSettings, Prior
from controller.signals import FEATURES, Signals
from controller.study import Example
from lab.sim.signals import RecordedSignals

ARMS = (
    Arm("local", "small", 96, "board"),
    Arm("cloud", "mid", 96, "peer"),
    Arm("cloud", "large", 96, "peer"),
)
SETTINGS = ControllerSettings(priors={"cloud/large@96": Prior(300.0, 0.95)})
READ = FEATURES.index("read")


def asked(reads: bool) -> Signals:
    """Of a question that is about reading, or not."""
    vector = np.zeros(len(FEATURES))
    vector[READ] = reads
    return RecordedSignals(vector)


def example(reads: bool) -> Example:
    """The board cannot read, and does all else; it is surer of what it can."""
    answers = ("?" if reads else "red", "red", "red")
    confidences = (Confidence(0.3 if reads else 0.95, -0.1, 1), *(Confidence(0.9, -0.1, 1),) * 2)
    return Example(asked(reads), ARMS, answers, (not reads, True, True), confidences)


@pytest.fixture
def schooled() -> Controller:
    controller = Controller(SETTINGS, rng=np.random.default_rng(0))
    for turn in range(200):
        controller.study(example(turn % 2 == 0))
    return controller


def quality(controller: Controller, reads: bool) -> float:
    decision = controller.decide(Context(asked(reads), tuple(Option(arm) for arm in ARMS)), now=0.0)
    return decision.predictions[ARMS[0].id].quality


def test_examples_teach_what_the_board_can_do(schooled: Controller) -> None:
    assert quality(schooled, reads=False) > 0.85
    assert quality(schooled, reads=True) < 0.3


def test_another_controller_begins_with_what_one_knows(schooled: Controller) -> None:
    other = Controller(SETTINGS, rng=np.random.default_rng(1))
    other.begin(schooled.knowledge())
    for reads in (False, True):
        assert quality(other, reads) == quality(schooled, reads)
    assert other.knowledge() == schooled.knowledge()
    assert other.status().questions == 0


def test_only_whole_knowledge_of_the_same_version_is_taken_over(schooled: Controller) -> None:
    other = Controller(SETTINGS, rng=np.random.default_rng(1))
    before = other.snapshot()
    whole = schooled.knowledge()
    for spoilt in (None, {}, {**whole, "version": 0}, {**whole, "judge": {}}, {**whole, "differ": 2.0}):
        with pytest.raises(SnapshotError):
            other.begin(spoilt)
    assert other.snapshot() == before


def test_without_a_cloud_arm_nothing_can_be_compared() -> None:
    controller = Controller(SETTINGS, rng=np.random.default_rng(0))
    before = controller.knowledge()
    controller.study(Example(asked(True), ARMS[:1], ("red",), (True,), (None,)))
    assert controller.knowledge() == before
