"""Who is right when the board and the cloud differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from controller import snapshot
from controller.arm import Tier
from controller.beliefs import Beliefs, Vector
from controller.errors import SnapshotError
from controller.logistic import learn_label, logit, logits, sigmoid, sigmoids
from controller.settings import Learning

AGREED_RIGHT: Final = 0.9
FORGETTING: Final = 0.999
BOARD: Final = "board"
TYPICAL: Final = logit(0.3)  # an answer that is neither sure nor a guess
SLOPE, SLOPE_DEVIATION = -0.2, 0.5
LEAST: Final = 0.05
COINCIDENCE: Final = 0.3  # two answers that both differ from a third are the same


@dataclass
class _Share:
    """A discounted Beta posterior of a share."""

    right: float
    wrong: float

    @property
    def mean(self) -> float:
        return min(0.999, max(0.001, self.right / (self.right + self.wrong)))

    @property
    def variance(self) -> float:
        return self.mean * (1.0 - self.mean) / (self.right + self.wrong + 1.0)

    def learn(self, correct: bool, weight: float) -> None:
        kept = FORGETTING**weight
        self.right = kept * self.right + (weight if correct else 0.0)
        self.wrong = kept * self.wrong + (0.0 if correct else weight)
        # Forgetting must not leave less than one truth, or the next would decide alone.
        lack = 1.0 / min(1.0, self.right + self.wrong)
        self.right, self.wrong = self.right * lack, self.wrong * lack


class Damage(NamedTuple):
    """What keeping an answer that differs does to accuracy, by how likely it was held to differ.

    Attributes:
        bias, slope: of the logit of P(board right | differ), over the logit of P(differ) above `TYPICAL`.
        rest: P(cloud right | differ, board wrong).
    """

    bias: float
    slope: float
    rest: float

    def net(self, differ: Vector) -> Vector:
        """Right answers lost by each that differs: P(cloud right | differ) - P(board right | differ).

        At least `LEAST`, so that labels still matter; arguments and result of any shape.
        """
        board = sigmoids(self.bias + self.slope * (logits(differ) - TYPICAL))
        net: Vector = np.maximum(LEAST, self.rest * (1.0 - board) - board)
        return net

    def of(self, differ: Vector) -> Vector:
        """Right answers lost by keeping answers that differ with these probabilities."""
        lost: Vector = differ * self.net(differ)
        return lost

    def one(self, differ: float) -> float:
        """`of` for a single answer."""
        board = sigmoid(self.bias + self.slope * (logit(differ) - TYPICAL))
        return differ * max(LEAST, self.rest * (1.0 - board) - board)


class Truth:
    """Who is right, learned from feedback.

    Disagreement is not error. When an answer of which the board was sure differs from the cloud's, it is
    more often the cloud that errs than when it was unsure. So P(board right | differ) is a logistic of
    how likely the answer was held to differ. Two more shares complete it: how often the cloud is right where
    both differ and the board is wrong, and how often both are right where they agree.
    """

    def __init__(self, learning: Learning) -> None:
        def share(mean: float) -> _Share:
            return _Share(learning.differ_strength * mean, learning.differ_strength * (1.0 - mean))

        board = learning.board_right
        self._board = Beliefs(2, FORGETTING)
        variance = 1.0 / (learning.differ_strength * board * (1.0 - board))
        self._board.add(BOARD, np.array((logit(board), SLOPE)), np.array((variance, SLOPE_DEVIATION**2)))
        self._rest = share(min(0.99, learning.cloud_right / (1.0 - board)))
        self._agree = share(AGREED_RIGHT)

    @property
    def damage(self) -> Damage:
        """As it is held now."""
        bias, slope = (float(self._board.weights(i)[0]) for i in (0, 1))
        return Damage(bias, slope, self._rest.mean)

    def net_variance(self, differ: float) -> float:
        """Variance of `Damage.net` at a probability."""
        right = self._board_right(differ)
        z_variance = self._board.predict(BOARD, _features(differ))[1]
        board_variance = (right * (1.0 - right)) ** 2 * max(0.0, z_variance)
        return (1.0 + self._rest.mean) ** 2 * board_variance + (1.0 - right) ** 2 * self._rest.variance

    def accuracy(self, differ: float) -> float:
        """The cloud's share of right answers, where the board's differ with probability `differ`."""
        return differ * self._right("cloud", differ) + (1.0 - differ) * self._agree.mean

    def differed(self, tier: Tier, correct: bool, differ: float) -> float:
        """P(the answers differ | a tier's answer is right or wrong), by Bayes' rule from `differ` before."""
        given_differ, given_agree = self._right(tier, differ), self._agree.mean
        if not correct:
            given_differ, given_agree = 1.0 - given_differ, 1.0 - given_agree
        differs, agrees = differ * given_differ, (1.0 - differ) * given_agree
        return differs / (differs + agrees)

    def learn(self, tier: Tier, correct: bool, differed: float, expected: float) -> None:
        """Take in that a tier's answer was right or wrong.

        Args:
            differed: probability that the two differed, after all that is known.
            expected: what it was held for when the board had answered.
        """
        self._agree.learn(correct, 1.0 - differed)
        if tier == "local":
            board = float(correct)
        elif correct:
            board = 0.0
        else:  # the board may be right, or neither
            right = self._board_right(expected)
            board = right / (right + (1.0 - right) * (1.0 - self._rest.mean))
        if tier == "cloud":
            self._rest.learn(correct, differed * (1.0 - board))
        if differed > 0.0:
            learn_label(self._board, BOARD, _features(expected), board, differed)

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "board": self._board.snapshot(),
            "rest": [self._rest.right, self._rest.wrong],
            "agree": [self._agree.right, self._agree.wrong],
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        shares = {}
        for name in ("rest", "agree"):
            right, wrong = snapshot.array(held, name, (2,)).tolist()
            if right < 0 or wrong < 0 or right + wrong <= 0:
                raise SnapshotError(f"what the snapshot holds of {name!r} is no share")
            shares[name] = _Share(right, wrong)
        board = Beliefs(2, FORGETTING)
        board.restore(snapshot.part(held, "board"))
        if BOARD not in board:
            raise SnapshotError("the snapshot does not tell how often the board is right")
        self._board, self._rest, self._agree = board, shares["rest"], shares["agree"]

    def _board_right(self, differ: float) -> float:
        return sigmoid(self._board.predict(BOARD, _features(differ))[0])

    def _right(self, tier: Tier, differ: float) -> float:
        board = self._board_right(differ)
        return board if tier == "local" else (1.0 - board) * self._rest.mean


def _features(differ: float) -> Vector:
    return np.array((1.0, logit(differ) - TYPICAL))


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
