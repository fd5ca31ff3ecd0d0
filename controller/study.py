"""Learning from a question of which it is known what every arm answers: a warm start, before any service."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.arm import Arm
from controller.learned import Learned
from controller.outcome import Confidence
from controller.quality import features
from controller.signals import Signals
from controller.truth import Who


@dataclass(frozen=True)
class Example:
    """A question that was put to every arm; the tuples have one element an arm.

    Attributes:
        answers: normalised, so that equal answers are equal texts.
        correct: whether each is right.
        confidences: how sure each was, as far as its server told.
    """

    signals: Signals
    arms: tuple[Arm, ...]
    answers: tuple[str, ...]
    correct: tuple[bool, ...]
    confidences: tuple[Confidence | None, ...]


def study(example: Example, learned: Learned, weight: float) -> None:
    """Take in an example; without a cloud arm it teaches nothing.

    Every arm's answer tells whether it differs from the reference's, before the answer and after it, and who
    is then right.

    Args:
        weight: how many labels each answer counts for.
    """
    roster = learned.rosters.of(example.arms)
    if roster.home is None or roster.reference is None:
        return
    x = features(example.signals.vector())
    guesses = learned.quality.guess(roster, x, np.zeros(len(roster.arms)))
    for place, arm in enumerate(roster.arms):
        if not roster.judged[place]:
            continue
        differed = float(example.answers[place] != example.answers[roster.home])
        judgement = learned.judge.judge(arm, roster.reference, x, example.confidences[place])
        learned.judge.learn_spread(arm.skill, float(guesses.differ[place]), judgement.differ)
        learned.quality.learn(arm.skill, x, differed, weight, kin=0.0)
        learned.judge.learn(arm.skill, judgement, differed, weight, kin=0.0)
        if arm.tier == "local":
            learned.learn_differ(judgement.differ)
        for told in (place, roster.home):
            who = Who(arm.skill, roster.standard, told == roster.home)
            learned.truth.learn(example.correct[told], differed, judgement.differ, x, who, weight=weight)
