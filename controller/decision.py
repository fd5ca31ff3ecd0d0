"""What was decided, and everything needed to learn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from controller.arm import Arm
from controller.beliefs import Vector
from controller.candidates import Candidate
from controller.context import DeviceState


@dataclass(frozen=True)
class Prediction:
    """What one arm was expected to do.

    Attributes:
        latency_ms, energy_j: of its own call.
        quality: share of the cloud's accuracy that its answers would keep on such questions.
        score: what the route rule compared; less is better.
        blocked: why it could not be used, in words; None when it could.
        escalation: how likely its answer would be escalated; 0 for the cloud.
    """

    latency_ms: float
    energy_j: float
    quality: float
    score: float
    blocked: str | None = None
    escalation: float = 0.0


@dataclass(frozen=True)
class Basis:
    """What a decision was made from, for the controller's own use.

    Attributes:
        x: the quality models' features.
        candidates: by `Arm.id`, every option.
        reference: the cloud arm that all others are measured by; None when there is none.
        contested: both the reference and another arm could be used, so that accuracy was chosen.
        swayed: another arm was cheaper than the reference, so that the price of a lost answer had a say.
    """

    x: Vector
    device: DeviceState
    deadline_ms: float | None
    candidates: Mapping[str, Candidate]
    reference: Arm | None
    contested: bool
    swayed: bool


@dataclass(frozen=True)
class Decision:
    """The arm to ask first.

    Attributes:
        id: names it in records and in feedback.
        propensity: probability with which this arm was chosen.
        predictions: by `Arm.id`, of every option.
        reason: in words that a user understands.
        time: when, on the clock that `now` is from.
    """

    id: str
    arm: Arm
    propensity: float
    predictions: Mapping[str, Prediction]
    reason: str
    time: float
    basis: Basis = field(repr=False, compare=False)


@dataclass(frozen=True)
class FollowUp:
    """What to do with an answer.

    Attributes:
        action: send it out (`keep`); send out the answer of `arm` instead (`escalate`); send it out and
            then ask `arm` too, to learn (`audit`).
        arm: the cloud arm to ask; None for `keep`.
        propensity: probability with which this action was chosen.
        reason: in words that a user understands.
        loss: right answers expected to be lost by keeping the answer.
    """

    action: Literal["keep", "escalate", "audit"]
    arm: Arm | None
    propensity: float
    reason: str
    loss: float
