"""What was decided, and everything needed to learn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

from controller.arm import Arm
from controller.beliefs import Vector
from controller.candidates import Candidates
from controller.context import DeviceState
from controller.damage import Damage
from controller.reason import why_failed_over, why_placed
from controller.rule import escalation

P95: Final = 1.645  # deviations of a normal distribution


@dataclass(frozen=True)
class Prediction:
    """What one arm was expected to do.

    Attributes:
        latency_ms, energy_j: of its own call.
        latency_p95_ms: nineteen in twenty calls take less; log(server_ms) is taken as normal.
        quality: share of the cloud's accuracy that its answers would keep on such questions.
        score: what the route rule compared; less is better.
        blocked: why it could not be used, in words; None when it could.
        escalation: how likely its answer would be escalated; 0 for the cloud.
    """

    latency_ms: float
    latency_p95_ms: float
    energy_j: float
    quality: float
    score: float
    blocked: str | None = None
    escalation: float = 0.0


class Basis(NamedTuple):
    """What a decision was made from, for the controller's own use; the arrays have shape (arms,).

    Attributes:
        x: the quality models' features.
        score: of every arm by the route rule.
        asks: what asking each cloud arm costs, with what its answer may lose; infinite for the others.
        ask: what asking the cloud after each arm's answer would cost; infinite where none can be asked.
        spread: variance of the logit that each arm's confidence will add.
        lam: the price of a lost right answer, in units of cost.
        damage: what keeping an answer that differs loses.
        accuracy: the cloud's share of right answers.
        best: place of the arm that the route rule found.
        contested: both the reference and another arm could be used, so that accuracy was chosen.
        swayed: another arm was cheaper than the reference, so that the price of a lost answer had a say.
        failed: the arm that failed before, of a fallback.
        scrutiny: how many times as likely as others an audit of its answer should be.
    """

    x: Vector
    device: DeviceState
    deadline_ms: float | None
    candidates: Candidates
    score: Vector
    asks: Vector
    ask: Vector
    spread: Vector
    lam: float
    damage: Damage
    accuracy: float
    best: int
    contested: bool
    swayed: bool
    failed: Arm | None = None
    scrutiny: float = 1.0

    @property
    def reference(self) -> Arm | None:
        """The cloud arm that all others are measured by; None when there is none."""
        return self.candidates.roster.reference


@dataclass(frozen=True)
class Decision:
    """The arm to ask first.

    Attributes:
        id: names it to the controller; nobody else gets it.
        propensity: probability with which this arm was chosen.
        time: when, on the clock that `now` is from.
    """

    id: str
    arm: Arm
    propensity: float
    time: float
    basis: Basis = field(repr=False, compare=False)

    @cached_property
    def predictions(self) -> Mapping[str, Prediction]:
        """By `Arm.id`, of every option; made when first asked for."""
        candidates = self.basis.candidates
        p95_ms = candidates.estimates.below_ms(P95).tolist()
        return dict(zip(candidates.roster.ids, map(self._prediction, self._places, p95_ms), strict=True))

    @property
    def risk(self) -> float:
        """How likely even the board's best answer would differ from the cloud's; 0 without a board's arm."""
        candidates = self.basis.candidates
        return min(candidates.guesses.differ[candidates.roster.local].tolist(), default=0.0)

    @cached_property
    def reason(self) -> str:
        """Why this arm, in words that a user understands."""
        basis, candidates = self.basis, self.basis.candidates
        if basis.failed is not None:
            return why_failed_over(self.arm, basis.failed)
        place = candidates.roster.index[self.arm.id]
        escalated = self.predictions[self.arm.id].escalation
        return why_placed(place, candidates, basis.score, escalated, tried=place != basis.best)

    @property
    def _places(self) -> range:
        return range(len(self.basis.candidates.blocked))

    def _prediction(self, place: int, latency_p95_ms: float) -> Prediction:
        basis, candidates = self.basis, self.basis.candidates
        differ, ask = float(candidates.guesses.differ[place]), float(basis.ask[place])
        return Prediction(
            latency_ms=float(candidates.estimates.latency_ms[place]),
            latency_p95_ms=latency_p95_ms,
            energy_j=float(candidates.estimates.energy_j[place]),
            quality=1.0 - min(1.0, basis.damage.one(place, differ) / basis.accuracy),
            score=float(basis.score[place]),
            blocked=candidates.blocked[place],
            escalation=escalation(basis.lam, basis.damage, place, differ, float(basis.spread[place]), ask),
        )


@dataclass(frozen=True)
class FollowUp:
    """What to do with an answer.

    Attributes:
        action: send it out (`keep`); send out the answer of `arm` instead (`escalate`); send it out and
            then ask `arm` too, to learn (`audit`).
        arm: the cloud arm to ask; None for `keep`.
        propensity: probability with which this action was chosen.
        reason: in words that a user understands.
        loss: right answers expected to be lost by keeping the answer; None where the policy has no estimate.
        beside: a cloud arm to ask in addition after the reply, if the reference answers too; None for none.
        differ: how likely the answer differs from the reference's; None where the policy has no estimate.
    """

    action: Literal["keep", "escalate", "audit"]
    arm: Arm | None = None
    propensity: float = 1.0
    reason: str = ""
    loss: float | None = None
    beside: Arm | None = None
    differ: float | None = None
