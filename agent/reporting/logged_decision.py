"""A record of the decision log, as an estimate of another rule needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class LoggedPrediction(_Seen):
    """What an arm was expected to do."""

    latency_ms: float
    energy_j: float
    quality: float
    blocked: str | None = None


class LoggedRun(_Seen):
    """One call."""

    arm: str
    latency_ms: float | None = None
    energy_j: float | None = None
    failure: str | None = None


class LoggedPair(_Seen):
    """How far two calls agree."""

    runs: tuple[int, int]
    p_same: float = Field(ge=0, le=1)


class LoggedFollowUp(_Seen):
    """What was done with the first answer."""

    action: str
    propensity: float = Field(gt=0, le=1)
    p_differs: float | None = None


class LoggedDecision(_Seen):
    """The record of one answer."""

    predictions: dict[str, LoggedPrediction]
    runs: tuple[LoggedRun, ...]
    chosen: int
    agreement: tuple[LoggedPair, ...] = ()
    follow_up: LoggedFollowUp
    floor: float | None = None


@dataclass(frozen=True)
class Call:
    """What a call of an arm costs."""

    latency_ms: float
    energy_j: float


@dataclass(frozen=True)
class BoardFirst:
    """A question that the board was asked first, and whose answer was kept or escalated.

    Attributes:
        board: the board's call.
        loss: share of the reference's accuracy that its answer was expected to lose, before it came.
        p_differs: how likely its answer differs from the cloud's, after it came.
        escalated: whether the cloud's answer was sent in place of it.
        p_seen: probability that the cloud was asked too; 1 if escalated.
        cloud: the cloud's call, if there was one.
        differed: how likely the two answers differ, if there was one and they were compared.
        expected: what the call of the best arm of the cloud was expected to cost.
        cloud_loss: share of the reference's accuracy that this arm's answer was expected to lose.
    """

    board: Call
    loss: float
    p_differs: float
    escalated: bool
    p_seen: float
    cloud: Call | None
    differed: float | None
    expected: Call
    cloud_loss: float


@dataclass(frozen=True)
class CloudFirst:
    """A question that the cloud was asked first, and whose answer was sent."""

    cloud: Call
    loss: float


def read(fields: Mapping[str, Any]) -> BoardFirst | CloudFirst | None:
    """Returns a record as one of the two; None if it is neither.

    It is neither if a call before the reply failed, or was repeated or hedged; if an energy or an estimate is
    not known; or if no arm of the cloud could be asked, so that nothing was decided.
    """
    try:
        record = LoggedDecision.model_validate(fields)
    except ValidationError:
        return None
    runs, chosen = record.runs, record.chosen
    if not 0 <= chosen < len(runs) or chosen > 1 or record.predictions.keys().isdisjoint([runs[0].arm]):
        return None
    calls = [_call(run) for run in runs]
    first, sent = calls[0], calls[chosen]
    if first is None or sent is None:
        return None
    loss = _lost(record.predictions[runs[0].arm])
    if not runs[0].arm.startswith("local/"):
        return CloudFirst(first, loss) if chosen == 0 else None
    follow_up = record.follow_up
    escalated = chosen == 1
    best = _best_cloud(record.predictions)
    if best is None or follow_up.p_differs is None or escalated != (follow_up.action == "escalate"):
        return None
    at = next((at for at in range(1, len(runs)) if runs[at].arm.startswith("cloud/") and calls[at]), None)
    kept_unseen = follow_up.action == "keep"
    if kept_unseen or at is None:  # an audit that failed is an audit that was not seen
        cloud, differed = None, None
    else:
        cloud, differed = calls[at], _differed(record.agreement, at)
    return BoardFirst(
        board=first,
        loss=loss,
        p_differs=follow_up.p_differs,
        escalated=escalated,
        p_seen=1.0 - follow_up.propensity if kept_unseen else follow_up.propensity,
        cloud=cloud if differed is not None else None,
        differed=differed,
        expected=Call(best.latency_ms, best.energy_j),
        cloud_loss=_lost(best),
    )


def _call(run: LoggedRun) -> Call | None:
    if run.failure is not None or run.latency_ms is None or run.energy_j is None:
        return None
    return Call(run.latency_ms, run.energy_j)


def _lost(prediction: LoggedPrediction) -> float:
    return max(0.0, 1.0 - prediction.quality)


def _best_cloud(predictions: Mapping[str, LoggedPrediction]) -> LoggedPrediction | None:
    """Returns the arm of the cloud that may be asked and is expected to be right most often."""
    clouds = [found for arm, found in predictions.items() if arm.startswith("cloud/") and not found.blocked]
    return max(clouds, key=lambda found: (found.quality, -found.latency_ms), default=None)


def _differed(pairs: tuple[LoggedPair, ...], at: int) -> float | None:
    return next((1.0 - pair.p_same for pair in pairs if sorted(pair.runs) == [0, at]), None)
