"""Keeping the long-run accuracy above a share of the cloud's."""

from __future__ import annotations

import math
from typing import Final

from controller import snapshot
from controller.errors import SnapshotError

CAREFUL: Final = 2.0  # the price opens at this over 4 allowances, and an alarm multiplies it so
RANGE: Final = 80.0  # the price stays within this times one allowance, and one over it
LARGEST_STEP: Final = 0.3  # of the price's logarithm, at one question
HASTE, SETTLING = 5.0, 40.0  # the first steps are 1 + HASTE times larger, which halves in SETTLING questions


class Floor:
    """One dual variable: the price of a lost right answer, in units of an average call of the cloud.

    A question's allowance is (1 - floor) of the cloud's accuracy. The price rises with each loss above the
    allowance and falls with each below, by mirror ascent on the dual of "least cost such that the average
    loss is at most the allowance"; its logarithm is a virtual queue (Neely 2010), which stays bounded only if
    the average loss is within the allowance. Multiplied by the running average of the cloud's cost it is
    lambda: so a slower cloud does not cheapen quality.

    Questions on which nothing could be chosen are no part of it, and where the cloud was cheaper anyway the
    price does not fall: slack that nobody chose would be spent all at once when the world changes.
    """

    def __init__(self, floor: float, step: float, accuracy: float) -> None:
        self._share = 1.0 - floor
        self._step = step
        self._price = 1.0 / (CAREFUL * self.allowance(accuracy))
        self._cost = 0.0
        self._count = 0

    @property
    def price(self) -> float:
        """Of a lost answer, in average calls of the cloud."""
        return self._price

    def lam(self, cost: float) -> float:
        """Lambda, in the units of cost; `cost` is that of the cloud now, used while no average is known."""
        return self._price * (self._cost or cost)

    def allowance(self, accuracy: float) -> float:
        """Right answers that may be lost for each question, where the cloud has `accuracy`."""
        return max(1e-3, self._share * accuracy)

    def learn(self, loss: float, *, accuracy: float, cost: float, may_fall: bool = True) -> None:
        """Take in a question: right answers it is expected to lose, and what asking the cloud would cost."""
        self._cost += (cost - self._cost) * (0.05 if self._cost else 1.0)
        allowance = self.allowance(accuracy)
        step = self._step * (1.0 + HASTE * SETTLING / (SETTLING + self._count))
        excess = max(-LARGEST_STEP, min(LARGEST_STEP, step * (loss / allowance - 1.0)))
        if excess > 0 or may_fall:
            self._count += 1
            self._set(self._price * math.exp(excess), allowance)

    def be_careful(self, accuracy: float) -> None:
        """After a quality alarm: twice the price, and at least the opening one."""
        allowance = self.allowance(accuracy)
        self._set(max(2.0 * self._price, 1.0 / (CAREFUL * allowance)), allowance)

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {"price": self._price, "cost": self._cost, "count": self._count}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        self._price = snapshot.number(held, "price")
        self._cost = snapshot.number(held, "cost")
        self._count = int(snapshot.number(held, "count"))
        if self._price <= 0 or self._cost < 0 or self._count < 0:
            raise SnapshotError("the snapshot's price of a lost answer is no price")

    def _set(self, price: float, allowance: float) -> None:
        self._price = min(RANGE / allowance, max(1.0 / (RANGE * allowance), price))
