"""Who is right when the board and the cloud differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from controller import snapshot
from controller.arm import Tier
from controller.beliefs import Beliefs, Vector
from controller.damage import TYPICAL, Damage
from controller.errors import SnapshotError
from controller.logistic import learn_label, logit, sigmoid
from controller.settings import ControllerSettings

AGREED_RIGHT: Final = 0.9
SLOPE, SLOPE_DEVIATION = -0.2, 0.5
SIGNAL_DEVIATION: Final = 0.3
USUAL_RATE: Final = 0.02
COINCIDENCE: Final = 0.3  # two answers that both differ from a third are the same


@dataclass
class _Share:
    """A discounted Beta posterior of a share."""

    right: float
    wrong: float
    forgetting: float

    @property
    def mean(self) -> float:
        return min(0.999, max(0.001, self.right / (self.right + self.wrong)))

    def learn(self, correct: bool, weight: float) -> None:
        kept = self.forgetting**weight
        self.right = kept * self.right + (weight if correct else 0.0)
        self.wrong = kept * self.wrong + (0.0 if correct else weight)
        # Forgetting must not leave less than one truth, or the next would decide alone.
        lack = 1.0 / min(1.0, self.right + self.wrong)
        self.right, self.wrong = self.right * lack, self.wrong * lack


class Truth:
    """Who is right, learned from feedback.

    Disagreement is not error. Where counting is hard the cloud errs too, and when an answer of which the
    board was sure differs from the cloud's, it is more often the cloud that errs than when it was unsure. So
    P(board right | differ), and P(cloud right | differ, board wrong), are logistics of the question's signals
    and of how likely the answer was held to differ. A share completes them: how often both are right where
    they agree. All is kept by the reference, the cloud's arm that answers are compared with.

    Args:
        settings: priors, and how fast they are forgotten.
        signals: number of quality features, the leading 1 included.
    """

    def __init__(self, settings: ControllerSettings, signals: int) -> None:
        self._learning, self._signals = settings.learning, signals
        self._forgetting = settings.forgetting.quality
        self._odds = Beliefs(signals + 1, self._forgetting)
        self._names = ("", "")
        strength = settings.learning.differ_strength
        self._agree = _Share(strength * AGREED_RIGHT, strength * (1.0 - AGREED_RIGHT), self._forgetting)
        self._usual = np.zeros(signals)
        self._usual[0] = 1.0

    def damage(self, x: Vector, reference: str) -> Damage:
        """As it is held now for a question with the quality features `x`."""
        (board, rest) = (self._odds.mean(name) for name in self._rows(reference))
        return Damage(float(board[:-1] @ x), float(board[-1]), float(rest[:-1] @ x), float(rest[-1]))

    def net_variance(self, differ: float, reference: str) -> float:
        """Variance of `Damage.net` at a probability, for a usual question."""
        at = _features(differ, self._usual)
        (board, board_variance), (rest, rest_variance) = (
            self._belief(name, at) for name in self._rows(reference)
        )
        return (1.0 + rest) ** 2 * board_variance + (1.0 - board) ** 2 * rest_variance

    def accuracy(self, differ: float, reference: str) -> float:
        """The reference's share of right answers, where the board's differ with probability `differ`."""
        right = self._right("cloud", differ, self._usual, reference)
        return differ * right + (1.0 - differ) * self._agree.mean

    def differed(self, tier: Tier, correct: bool, differ: float, x: Vector, reference: str) -> float:
        """P(the answers differ | a tier's answer is right or wrong), by Bayes' rule from `differ` before."""
        given_differ, given_agree = self._right(tier, differ, x, reference), self._agree.mean
        if not correct:
            given_differ, given_agree = 1.0 - given_differ, 1.0 - given_agree
        differs, agrees = differ * given_differ, (1.0 - differ) * given_agree
        return differs / (differs + agrees)

    def learn(
        self, tier: Tier, correct: bool, differed: float, expected: float, x: Vector, reference: str
    ) -> None:
        """Take in that a tier's answer to a question with the quality features `x` was right or wrong.

        Args:
            differed: probability that the two differed, after all that is known.
            expected: what it was held for when the board had answered.
        """
        self._usual += USUAL_RATE * (x - self._usual)
        self._agree.learn(correct, 1.0 - differed)
        if differed <= 0.0:
            return
        at, (board, rest) = _features(expected, x), self._rows(reference)
        board_right = float(correct and tier == "local")
        if tier == "cloud" and not correct:  # the board may be right, or neither
            right, others = self._belief(board, at)[0], self._belief(rest, at)[0]
            board_right = right / (right + (1.0 - right) * (1.0 - others))
        learn_label(self._odds, board, at, board_right, differed)
        if tier == "cloud":
            learn_label(self._odds, rest, at, float(correct), differed * (1.0 - board_right))

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "odds": self._odds.snapshot(),
            "agree": [self._agree.right, self._agree.wrong],
            "usual": self._usual.tolist(),
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        right, wrong = snapshot.array(held, "agree", (2,)).tolist()
        if right < 0 or wrong < 0 or right + wrong <= 0:
            raise SnapshotError("what the snapshot holds of 'agree' is no share")
        odds = Beliefs(self._signals + 1, self._forgetting)
        odds.restore(snapshot.part(held, "odds"))
        self._usual = snapshot.array(held, "usual", (self._signals,))
        self._odds, self._agree = odds, _Share(right, wrong, self._forgetting)

    def _rows(self, reference: str) -> tuple[str, str]:
        """Names of the two beliefs about a reference, begun at their priors where it is new."""
        board, rest = f"board {reference}", f"rest {reference}"
        if self._names[0] != board:
            self._names = board, rest
        if board not in self._odds or rest not in self._odds:
            self._begin(self._names)
        return self._names

    def _begin(self, names: tuple[str, str]) -> None:
        learning = self._learning
        board = learning.board_right
        rest = min(0.99, learning.cloud_right / (1.0 - board))
        for name, right, slope in zip(names, (board, rest), (SLOPE, 0.0), strict=True):
            mean = np.zeros(self._signals + 1)
            mean[0], mean[-1] = logit(right), slope
            variance = np.full(self._signals + 1, SIGNAL_DEVIATION**2)
            variance[0] = 1.0 / (learning.differ_strength * right * (1.0 - right))
            variance[-1] = SLOPE_DEVIATION**2
            self._odds.add(name, mean, variance, keep=names)

    def _belief(self, name: str, at: Vector) -> tuple[float, float]:
        """Mean and variance of a probability."""
        z, variance = self._odds.predict(name, at)
        mean = sigmoid(z)
        return mean, (mean * (1.0 - mean)) ** 2 * max(0.0, variance)

    def _right(self, tier: Tier, differ: float, x: Vector, reference: str) -> float:
        at = _features(differ, x)
        board, rest = (sigmoid(float(self._odds.mean(name) @ at)) for name in self._rows(reference))
        return board if tier == "local" else (1.0 - board) * rest


def _features(differ: float, x: Vector) -> Vector:
    """The quality features, and the logit of `differ` above `TYPICAL`."""
    return np.concatenate((x, (logit(differ) - TYPICAL,)))


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
