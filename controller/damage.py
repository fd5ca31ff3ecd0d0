"""What a kept answer costs in right answers."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from controller.beliefs import Vector
from controller.logistic import logit, logits, sigmoid, sigmoids

TYPICAL: Final = logit(0.3)  # an answer that is neither sure nor a guess
LEAST: Final = 0.05


class Damage(NamedTuple):
    """What keeping an answer that differs does to accuracy, by how likely it was held to differ.

    Attributes:
        bias, slope: of the logit of P(board right | differ), over the logit of P(differ) above `TYPICAL`.
        rest, rest_slope: the same of P(cloud right | differ, board wrong).
    """

    bias: float
    slope: float
    rest: float
    rest_slope: float

    def net(self, z: Vector) -> Vector:
        """Right answers lost by each that differs: P(cloud right | differ) - P(board right | differ).

        At least `LEAST`, so that labels still matter.

        Args:
            z: logits of how likely each was held to differ, of any shape, which the result has too.
        """
        z = z - TYPICAL
        board = 1.0 / (1.0 + np.exp(-self.bias - self.slope * z))
        rest = 1.0 / (1.0 + np.exp(-self.rest - self.rest_slope * z))
        net: Vector = np.maximum(LEAST, rest * (1.0 - board) - board)
        return net

    def of(self, differ: Vector) -> Vector:
        """Right answers lost by keeping answers that differ with these probabilities."""
        lost: Vector = differ * self.net(logits(differ))
        return lost

    def of_logits(self, z: Vector) -> Vector:
        """`of` for the logits of the probabilities."""
        lost: Vector = sigmoids(z) * self.net(z)
        return lost

    def one(self, differ: float) -> float:
        """`of` for a single answer."""
        z = logit(differ) - TYPICAL
        board, rest = sigmoid(self.bias + self.slope * z), sigmoid(self.rest + self.rest_slope * z)
        return differ * max(LEAST, rest * (1.0 - board) - board)
