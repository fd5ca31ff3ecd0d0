"""Who is right when the board and the cloud differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from controller import snapshot
from controller.beliefs import Beliefs, Vector
from controller.damage import TYPICAL, Damage
from controller.errors import SnapshotError
from controller.familiarity import Familiarity
from controller.logistic import learn_label, logit, sigmoid
from controller.looks import Looks
from controller.roster import Roster
from controller.settings import ControllerSettings

AGREED_RIGHT: Final = 0.9
MEMORY: Final = 1000.0
SLOPE, SLOPE_DEVIATION = -0.2, 0.5
RIGHT, REST = "right ", "rest "
SIGNAL_DEVIATION: Final = 0.3
USUAL_RATE: Final = 0.02
COINCIDENCE: Final = 0.3  # two answers that both differ from a third are the same


class Who(NamedTuple):
    """Whose answer a truth is about.

    Attributes:
        skill: that judged beside the reference; None when only the reference answered.
        reference: skill of the reference; empty where there was none.
        told_of_reference: it is the reference's answer of which it is known whether it is right.
    """

    skill: str | None
    reference: str
    told_of_reference: bool


@dataclass
class _Share:
    """A Beta posterior of a share that remembers as much as `MEMORY` truths."""

    right: float
    wrong: float

    @property
    def mean(self) -> float:
        return min(0.999, max(0.001, self.right / (self.right + self.wrong)))

    def learn(self, correct: bool, weight: float) -> None:
        self.right += weight if correct else 0.0
        self.wrong += 0.0 if correct else weight
        kept = min(1.0, MEMORY / (self.right + self.wrong))
        self.right, self.wrong = kept * self.right, kept * self.wrong


class Truth:
    """Who is right, learned from feedback.

    Disagreement is not error. Where counting is hard the reference errs too, and when an answer of which an
    arm was sure differs from the reference's, it is more often the reference that errs than when it was
    unsure. So P(arm right | differ), and P(reference right | differ, arm wrong), are logistics of the
    question's signals and of how likely the answer was held to differ, for each skill beside each reference.
    Two shares complete them: how often the reference is right where they differ, and where they agree.

    Args:
        settings: priors, and how fast they are forgotten.
        signals: number of quality features, the leading 1 included.
        familiarity: of what was met before.
    """

    def __init__(self, settings: ControllerSettings, signals: int, familiarity: Familiarity) -> None:
        self._familiarity = familiarity
        self._learning, self._signals = settings.learning, signals
        self._odds = Beliefs(signals + 1, settings.forgetting.quality)
        self._roster: Roster | None = None
        self._asked: tuple[str, ...] = ()  # names of what is held of its arms, `RIGHT` of all, then `REST`
        self._differ = self._share(settings.learning.cloud_right)
        self._agree = self._share(AGREED_RIGHT)
        self._usual = np.zeros(signals)
        self._usual[0] = 1.0

    def damage(self, x: Vector, roster: Roster, looks: Looks = ()) -> Damage:
        """As it is held now for a question with the quality features `x`."""
        if self._roster is not roster:
            self._meet_all(roster)
        weights = self._odds.means(self._asked)
        bias = weights[:, :-1] @ x + self._familiarity.shifts(looks, self._asked)
        return Damage(bias.reshape(2, -1), weights[:, -1].reshape(2, -1))

    def net_variance(self, differ: float) -> float:
        """Variance of `Damage.net` at a probability, for a usual question and skill; 0 without a skill."""
        at = _features(differ, self._usual)
        variances = []
        for right_name, rest_name in _pairs(self._odds.names):
            right, right_variance = self._belief(right_name, at)
            rest, rest_variance = self._belief(rest_name, at)
            variances.append((1.0 + rest) ** 2 * right_variance + (1.0 - right) ** 2 * rest_variance)
        return float(np.mean(variances)) if variances else 0.0

    def accuracy(self, differ: float) -> float:
        """The reference's share of right answers, where others differ from it with probability `differ`."""
        return differ * self._differ.mean + (1.0 - differ) * self._agree.mean

    def differed(self, correct: bool, differ: float, expected: float, x: Vector, who: Who) -> float:
        """P(the answers differ | one of them is right or wrong), by Bayes' rule from `differ` before.

        Args:
            expected: what the judged answer was held for when it was given.
        """
        given_differ, given_agree = self._differ.mean, self._agree.mean
        if who.skill is not None:
            at, (right, rest) = _features(expected, x), self._meet(_names(who.skill, who.reference))
            given_differ = self._chance(right, at)
            if who.told_of_reference:
                given_differ = (1.0 - given_differ) * self._chance(rest, at)
        if not correct:
            given_differ, given_agree = 1.0 - given_differ, 1.0 - given_agree
        differs, agrees = differ * given_differ, (1.0 - differ) * given_agree
        return differs / (differs + agrees)

    def learn(
        self,
        correct: bool,
        differed: float,
        expected: float,
        x: Vector,
        who: Who,
        looks: Looks = (),
        *,
        weight: float = 1.0,
    ) -> None:
        """Take in that an answer to a question with the quality features `x` was right or wrong.

        Args:
            differed: probability that the two differed, after all that is known.
            expected: what the judged answer was held for when it was given.
            weight: how many truths it counts for.
        """
        self._usual += USUAL_RATE * (x - self._usual)
        self._agree.learn(correct, weight * (1.0 - differed))
        if who.told_of_reference:
            self._differ.learn(correct, weight * differed)
        if differed <= 0.0 or who.skill is None:
            return
        at, (right, rest) = _features(expected, x), self._meet(_names(who.skill, who.reference))
        judged_right = float(correct and not who.told_of_reference)
        if who.told_of_reference and not correct:  # the judged answer may be right, or neither
            before, others = self._chance(right, at), self._chance(rest, at)
            judged_right = before / (before + (1.0 - before) * (1.0 - others))
        self._learn_odds(right, at, looks, judged_right, weight * differed)
        if who.told_of_reference:
            self._learn_odds(rest, at, looks, float(correct), weight * differed * (1.0 - judged_right))

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "odds": self._odds.snapshot(),
            "differ": [self._differ.right, self._differ.wrong],
            "agree": [self._agree.right, self._agree.wrong],
            "usual": self._usual.tolist(),
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        for name, share in (("differ", self._differ), ("agree", self._agree)):
            right, wrong = snapshot.array(held, name, (2,)).tolist()
            if right < 0 or wrong < 0 or right + wrong <= 0:
                raise SnapshotError(f"what the snapshot holds of {name!r} is no share")
            share.right, share.wrong = right, wrong
        self._usual = snapshot.array(held, "usual", (self._signals,))
        self._odds.restore(snapshot.part(held, "odds"))

    def _share(self, mean: float) -> _Share:
        strength = self._learning.differ_strength
        return _Share(strength * mean, strength * (1.0 - mean))

    def _meet_all(self, roster: Roster) -> None:
        standard = roster.standard
        judged = [skill for skill in roster.skills if skill != standard] or [standard]
        # The reference never differs from itself: what stands in its place is not used.
        skills = [judged[0] if skill == standard else skill for skill in roster.skills]
        pairs = [_names(skill, standard) for skill in skills]
        self._asked = tuple(name for pair in zip(*pairs, strict=True) for name in pair)
        for pair in pairs:
            self._meet(pair)
        self._roster = roster

    def _meet(self, names: tuple[str, str]) -> tuple[str, str]:
        """The beliefs of these names, begun at their priors where they are new; what is asked now stays."""
        learning = self._learning
        right = learning.board_right
        rest = min(0.99, learning.cloud_right / (1.0 - right))
        for name, share, slope in zip(names, (right, rest), (SLOPE, 0.0), strict=True):
            if name in self._odds:
                continue
            mean = np.zeros(self._signals + 1)
            mean[0], mean[-1] = logit(share), slope
            variance = np.full(self._signals + 1, SIGNAL_DEVIATION**2)
            variance[0] = 1.0 / (learning.differ_strength * share * (1.0 - share))
            variance[-1] = SLOPE_DEVIATION**2
            self._odds.add(name, mean, variance, keep=(*names, *self._asked))
        return names

    def _chance(self, name: str, at: Vector) -> float:
        return sigmoid(float(self._odds.mean(name) @ at))

    def _learn_odds(self, name: str, at: Vector, looks: Looks, label: float, weight: float) -> None:
        z = float(self._odds.mean(name) @ at) + self._familiarity.shift(looks, name)
        self._familiarity.learn(looks, name, sigmoid(z), label, weight)
        learn_label(self._odds, name, at, label, weight)

    def _belief(self, name: str, at: Vector) -> tuple[float, float]:
        """Mean and variance of a probability."""
        z, variance = self._odds.predict(name, at)
        mean = sigmoid(z)
        return mean, (mean * (1.0 - mean)) ** 2 * max(0.0, variance)


def _names(skill: str, reference: str) -> tuple[str, str]:
    return f"{RIGHT}{skill} {reference}", f"{REST}{skill} {reference}"


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    held = set(names)
    found = [(name, REST + name[len(RIGHT) :]) for name in names if name.startswith(RIGHT)]
    return [pair for pair in found if pair[1] in held]


def _features(differ: float, x: Vector) -> Vector:
    """The quality features, and the logit of `differ` above `TYPICAL`."""
    return np.concatenate((x, (logit(differ) - TYPICAL,)))


def compared(differ: float, p_same: float) -> float:
    """P(two answers differ | what comparing them found), by Bayes' rule from `differ` before.

    Args:
        p_same: P(they say the same) where that is as likely as not before; at 0.5 nothing is learned.

    >>> compared(0.1, 1.0), round(compared(0.1, 0.5), 2), round(compared(0.1, 0.25), 2)
    (0.0, 0.1, 0.25)
    """
    differs, same = differ * (1.0 - p_same), (1.0 - differ) * p_same
    return differs / (differs + same) if differs + same > 0 else 1.0 - p_same


def witnessed(differ: float, witness_differ: float, agreed: bool) -> float:
    """P(an answer differs from the reference's | another arm's agrees with it or not), by Bayes' rule.

    Where the reference was not asked, any other cloud arm is a witness. It agrees with an answer that is the
    reference's when it does not differ itself, and with one that is not by coincidence only.

    >>> round(witnessed(0.4, 0.1, True), 2), round(witnessed(0.4, 0.1, False), 2)
    (0.02, 0.87)
    """
    if_same, if_differs = 1.0 - witness_differ, witness_differ * COINCIDENCE
    if not agreed:
        if_same, if_differs = 1.0 - if_same, 1.0 - if_differs
    differs, same = differ * if_differs, (1.0 - differ) * if_same
    return differs / max(1e-9, differs + same)
