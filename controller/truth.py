"""Who is right when the board and the cloud differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller import snapshot
from controller.arm import Tier
from controller.errors import SnapshotError
from controller.settings import Learning

AGREED_RIGHT: Final = 0.9
FORGETTING: Final = 0.999
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


class Truth:
    """Three shares: how often each tier is right when both differ, and both are when they agree.

    They are learned from feedback. Disagreement is not error: of the answers that differ, keeping the board's
    loses P(cloud right | differ) - P(board right | differ) right answers each, which is `net`.
    """

    def __init__(self, learning: Learning) -> None:
        def share(mean: float) -> _Share:
            return _Share(learning.differ_strength * mean, learning.differ_strength * (1.0 - mean))

        self._differ: dict[Tier, _Share] = {
            "cloud": share(learning.cloud_right),
            "local": share(learning.board_right),
        }
        self._agree = share(AGREED_RIGHT)

    @property
    def net(self) -> float:
        """Right answers lost by each kept answer that differs; at least 0.05, so that labels still matter."""
        return max(0.05, self._differ["cloud"].mean - self._differ["local"].mean)

    @property
    def net_variance(self) -> float:
        """Variance of `net`."""
        return self._differ["cloud"].variance + self._differ["local"].variance

    def accuracy(self, differ: float) -> float:
        """The cloud's share of right answers, where the board's differ with probability `differ`."""
        return differ * self._differ["cloud"].mean + (1.0 - differ) * self._agree.mean

    def differed(self, tier: Tier, correct: bool, differ: float) -> float:
        """P(the answers differ | a tier's answer is right or wrong), by Bayes' rule from `differ` before."""
        given_differ, given_agree = self._differ[tier].mean, self._agree.mean
        if not correct:
            given_differ, given_agree = 1.0 - given_differ, 1.0 - given_agree
        differs, agrees = differ * given_differ, (1.0 - differ) * given_agree
        return differs / (differs + agrees)

    def learn(self, tier: Tier, correct: bool, differed: float) -> None:
        """Take in that a tier's answer was right or wrong; the two differed with probability `differed`."""
        self._differ[tier].learn(correct, differed)
        self._agree.learn(correct, 1.0 - differed)

    def snapshot(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        shares = {"cloud": self._differ["cloud"], "local": self._differ["local"], "agree": self._agree}
        return {name: [share.right, share.wrong] for name, share in shares.items()}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        shares = {}
        for name in ("cloud", "local", "agree"):
            right, wrong = snapshot.array(held, name, (2,)).tolist()
            if right < 0 or wrong < 0 or right + wrong <= 0:
                raise SnapshotError(f"what the snapshot holds of {name!r} is no share")
            shares[name] = _Share(right, wrong)
        self._differ = {"cloud": shares["cloud"], "local": shares["local"]}
        self._agree = shares["agree"]


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
