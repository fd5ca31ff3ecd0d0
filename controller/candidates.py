"""The options of a question, each with all that the two rules compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from controller.arm import Arm
from controller.beliefs import Vector
from controller.context import Context
from controller.costs import Estimate
from controller.guard import blocked
from controller.learned import Learned
from controller.quality import Guess
from controller.rule import weighted
from controller.settings import ControllerSettings

LATE = "it would miss the deadline"


class Candidate(NamedTuple):
    """An arm as it stands for one question.

    Attributes:
        cost: of one call, weighted, with what its failing would cost.
        blocked: why it cannot be used, in words; None when it can.
    """

    arm: Arm
    estimate: Estimate
    guess: Guess
    cost: float
    blocked: str | None


class Ask(NamedTuple):
    """A cloud arm that could be asked next, and what that costs with what its answer may lose."""

    cost: float
    candidate: Candidate


def gather(
    context: Context, learned: Learned, settings: ControllerSettings, x: Vector, now: float
) -> tuple[list[Candidate], Arm | None]:
    """The candidates in the order of the options, and the cloud arm that all are measured by, if any.

    Args:
        x: the quality models' features.
    """
    options = context.options
    reference = reference_of([option.arm for option in options], settings)
    estimates = learned.costs.predict(options, context.device)
    guesses = learned.quality.guess([option.arm for option in options], reference, x)
    reasons = [blocked(option, context, settings.limits) for option in options]
    if context.deadline_ms is not None:
        reasons = _late(estimates, reasons, context.deadline_ms)
    chance = {server: learned.failures.chance(server, now) for server in {o.arm.server for o in options}}
    return [
        Candidate(option.arm, estimate, guess, _cost(estimate, chance[option.arm.server], settings), reason)
        for option, estimate, guess, reason in zip(options, estimates, guesses, reasons, strict=True)
    ], reference


def asks(candidates: Iterable[Candidate], lam: float, net: float) -> list[Ask]:
    """The cloud arms that can be asked, cheapest first."""
    able = (c for c in candidates if c.blocked is None and c.arm.tier == "cloud")
    return sorted((Ask(c.cost + lam * net * c.guess.differ, c) for c in able), key=lambda ask: ask.cost)


def first_in_time(asked: Sequence[Ask], left_ms: float | None) -> Ask | None:
    """The cheapest of them that most likely answers within `left_ms`."""
    if left_ms is None:
        return asked[0] if asked else None
    return next((ask for ask in asked if ask.candidate.estimate.late_ms <= left_ms), None)


def reference_of(arms: Iterable[Arm], settings: ControllerSettings) -> Arm | None:
    """The cloud arm believed best: by its prior, then by its resolution, where 0 is the whole image."""
    clouds = [arm for arm in arms if arm.tier == "cloud"]
    if len(clouds) < 2:
        return clouds[0] if clouds else None
    return max(clouds, key=lambda arm: (settings.prior(arm).quality, arm.resolution or math.inf, arm.id))


def _late(estimates: Sequence[Estimate], reasons: list[str | None], deadline_ms: float) -> list[str | None]:
    """Block what would miss the deadline; of all that may run the fastest stays: predictions can err."""
    able = [i for i, reason in enumerate(reasons) if reason is None]
    fastest = min(able, key=lambda i: estimates[i].late_ms, default=None)
    return [
        LATE
        if reason is None and estimates[i].late_ms > deadline_ms and (i != fastest or deadline_ms <= 0)
        else reason
        for i, reason in enumerate(reasons)
    ]


def _cost(estimate: Estimate, failing: float, settings: ControllerSettings) -> float:
    """The weighted cost of a call; a failed one costs `failure_s` of latency."""
    return weighted(
        settings.weights,
        latency_ms=estimate.latency_ms + failing * settings.learning.failure_s * 1e3,
        energy_j=estimate.energy_j,
        calls=int(estimate.arm.tier == "cloud"),
    )
