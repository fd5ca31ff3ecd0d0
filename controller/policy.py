"""The five verbs of a policy, and what it returns: this is all that the agent and the simulator call.

For each question:

1. `decide` picks the arm to ask first.
2. While an arm fails, `fallback` names the next one.
3. `escalate` says what to do with the first answer: keep it, ask the cloud too and send that answer
   (`escalate`), or send it and ask the cloud afterwards to compare (`audit`).
4. `learn` is called once, with everything that ran.
5. `feedback` may follow, or never: whether the answer that was sent is right.

Many questions may be open at once. `now` is in seconds on any clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from controller.arm import Arm
from controller.context import Context
from controller.decision import FollowUp, Prediction
from controller.drift import DriftEvent
from controller.outcome import Execution, Outcome


class DecisionLike(Protocol):
    """What a policy decided; `controller.Decision` is the controller's own.

    Attributes:
        id: names the decision to its policy; nobody else gets it.
        arm: the arm to ask first.
        propensity: probability with which this arm was chosen.
        predictions: what each arm was expected to do, by `Arm.id`; may lack arms, or be empty.
        risk: how likely the board's best answer differs from the cloud's; None for no estimate.
        reason: why this arm, in words for the user.
    """

    @property
    def id(self) -> str: ...  # noqa: D102 # described above
    @property
    def arm(self) -> Arm: ...  # noqa: D102
    @property
    def propensity(self) -> float: ...  # noqa: D102
    @property
    def predictions(self) -> Mapping[str, Prediction]: ...  # noqa: D102
    @property
    def risk(self) -> float | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


D = TypeVar("D", bound=DecisionLike)


class Policy(Protocol[D]):
    """Decides where each question is answered, and learns from what came of it."""

    def decide(self, context: Context, *, now: float) -> D:
        """Pick the arm to ask first.

        Raises:
            NoArm: every option is blocked; the message says why.
        """

    def fallback(self, decision: D, failed: Execution, *, now: float) -> D | None:
        """The next arm after one failed, under the same id; None when none is left."""

    def escalate(self, decision: D, execution: Execution, *, now: float) -> FollowUp:
        """What to do with the first answer."""

    def learn(self, decision: D, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Learn from everything that ran for a decision; returns the drift alarms that it raised."""

    def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
        """Learn whether the answer that was sent is right; False when the decision is no longer known.

        Args:
            weight: how far it is believed, from 0 to 1.
        """
