"""What every policy is to the simulator: the controller, its rivals, and those that know the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from controller.arm import Arm
from controller.context import Context
from controller.outcome import Execution, Outcome


@dataclass(frozen=True)
class Choice:
    """The arm to ask first; `risk` ranks questions by how likely the board errs, None where nothing does."""

    arm: Arm
    risk: float | None = None


@dataclass(frozen=True)
class Next:
    """What to do with an answer: `keep`, `escalate` to an arm, or keep it and `audit` it with one.

    `risk` ranks answers by how likely they are wrong.
    """

    action: Literal["keep", "escalate", "audit"] = "keep"
    arm: Arm | None = None
    risk: float | None = None


KEEP = Next()


class Policy(Protocol):
    """Places questions, which have running numbers, and learns. Many may be under way at once."""

    def decide(self, number: int, context: Context, *, now: float) -> Choice | None:
        """The arm to ask first; None when nothing can answer."""

    def answered(self, number: int, run: Execution, *, now: float) -> Next:
        """What to do with the first answer."""

    def failed(self, number: int, run: Execution, *, now: float) -> Arm | None:
        """The arm to ask after one failed; None to give up."""

    def learn(self, number: int, outcome: Outcome, *, now: float) -> int:
        """Take in all that ran for a question; the number of drift alarms that it raised."""

    def tell(self, number: int, correct: bool, *, now: float) -> None:
        """Take in, later or never, whether the answer that was sent out was right."""
