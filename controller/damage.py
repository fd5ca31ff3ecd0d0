"""What a kept answer costs in right answers."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from controller.beliefs import Matrix
from controller.logistic import logit, logits, sigmoid, sigmoids

TYPICAL: Final = logit(0.3)  # an answer that is neither sure nor a guess


class Damage(NamedTuple):
    """What keeping an answer that differs from the reference's does to accuracy, for some arms.

    The first row is of P(arm right | differ), the second of P(reference right | differ, arm wrong): logits,
    linear in the logit of P(differ) above `TYPICAL`.

    Attributes:
        bias, slope: each of shape (2, arms).
    """

    bias: Matrix
    slope: Matrix

    def net(self, z: Matrix) -> Matrix:
        """Right answers lost by each that differs: P(reference right | differ) - P(arm right | differ).

        Below 0 where the arm knows better: its answers then make up for others.

        Args:
            z: logits of how likely each was held to differ, shape (n, arms), which the result has too.
        """
        right, rest = 1.0 / (1.0 + np.exp(-self.bias[:, None] - self.slope[:, None] * (z - TYPICAL)))
        net: Matrix = rest * (1.0 - right) - right
        return net

    def of(self, differ: Matrix) -> Matrix:
        """Right answers lost by keeping answers that differ with these probabilities, shape (n, arms)."""
        lost: Matrix = differ * self.net(logits(differ))
        return lost

    def of_logits(self, z: Matrix) -> Matrix:
        """`of` for the logits of the probabilities."""
        lost: Matrix = sigmoids(z) * self.net(z)
        return lost

    def one(self, place: int, differ: float) -> float:
        """`of` for a single answer of one arm."""
        z = logit(differ) - TYPICAL
        bias, slope = self.bias[:, place].tolist(), self.slope[:, place].tolist()
        right, rest = sigmoid(bias[0] + slope[0] * z), sigmoid(bias[1] + slope[1] * z)
        return differ * (rest * (1.0 - right) - right)
