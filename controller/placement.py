"""The first stage: which arm to ask, before any has run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from controller.arm import Arm
from controller.context import Context, Option
from controller.costs import Estimate
from controller.decision import Basis, Decision, Prediction
from controller.errors import NoArm
from controller.guard import blocked
from controller.learned import Learned
from controller.quality import Guess, features
from controller.rule import after_answer, weighted
from controller.settings import ControllerSettings

LATE = "it would miss the deadline"


@dataclass(frozen=True)
class _Candidate:
    """An option with all that the route rule compares."""

    arm: Arm
    estimate: Estimate
    guess: Guess
    cost: float
    blocked: str | None


def place(
    context: Context,
    learned: Learned,
    settings: ControllerSettings,
    *,
    rng: np.random.Generator,
    now: float,
    name: str,
) -> Decision:
    """Decide where a question goes; `name` becomes the decision's id.

    Raises:
        NoArm: every option is blocked, or there is none.
    """
    x = features(context.signals.vector())
    candidates, reference = _candidates(context, learned, settings, x, now)
    able = [candidate for candidate in candidates if candidate.blocked is None]
    if not able:
        why = "; ".join(f"{candidate.arm.id}: {candidate.blocked}" for candidate in candidates)
        raise NoArm(f"nothing can answer this question now: {why or 'there is no model server'}")
    cloud = min((c for c in able if c.arm.tier == "cloud"), key=lambda c: c.cost, default=None)
    lam = learned.floor.lam(cloud.cost if cloud is not None else 0.0)
    predictions = {
        candidate.arm.id: _predict(candidate, able, lam, context, learned, settings)
        for candidate in candidates
    }
    best = min(able, key=lambda candidate: predictions[candidate.arm.id].score)
    chosen, propensity = _probe(best, able, settings.learning.probe_rate, rng)
    home = next((c for c in able if reference is not None and c.arm == reference), None)
    rivals = [candidate.cost for candidate in able if candidate is not home]
    basis = Basis(
        x=x,
        device=context.device,
        deadline_ms=context.deadline_ms,
        estimates={candidate.arm.id: candidate.estimate for candidate in candidates},
        guesses={candidate.arm.id: candidate.guess for candidate in candidates},
        costs={candidate.arm.id: candidate.cost for candidate in candidates},
        reference=reference,
        contested=home is not None and bool(rivals),
        swayed=home is not None and bool(rivals) and min(rivals) < home.cost,
    )
    reason = _reason(chosen, best, candidates, predictions)
    return Decision(name, chosen.arm, propensity, predictions, reason, now, basis)


def next_best(decision: Decision, failed: Arm, failure: str) -> Decision | None:
    """The decision without an arm that failed; None when nothing is left."""
    predictions = dict(decision.predictions)
    predictions[failed.id] = replace(predictions[failed.id], blocked=f"it failed: {failure}")
    able = {name: held.score for name, held in predictions.items() if held.blocked is None}
    if not able:
        return None
    basis = decision.basis
    arm = basis.estimates[min(able, key=lambda name: able[name])].arm
    contested = (
        basis.contested and basis.reference is not None and basis.reference.id in able and len(able) > 1
    )
    place_name = "the board" if failed.tier == "local" else "the cloud"
    return replace(
        decision,
        arm=arm,
        predictions=predictions,
        reason=f"{_tier(arm)}: {place_name} failed to answer",
        basis=replace(basis, contested=contested),
    )


def _candidates(
    context: Context, learned: Learned, settings: ControllerSettings, x: np.ndarray, now: float
) -> tuple[list[_Candidate], Arm | None]:
    options = context.options
    estimates = learned.costs.predict(options, context.device)
    reference = _reference(options, settings)
    guesses = learned.quality.guess([option.arm for option in options], reference, x)
    reasons = [blocked(option, context, settings.limits) for option in options]
    if context.deadline_ms is not None:
        reasons = _late(estimates, reasons, context.deadline_ms)
    return [
        _Candidate(option.arm, estimate, guess, _cost(estimate, learned, settings, now), reason)
        for option, estimate, guess, reason in zip(options, estimates, guesses, reasons, strict=True)
    ], reference


def _reference(options: Sequence[Option], settings: ControllerSettings) -> Arm | None:
    """The cloud arm believed best: by its prior, then by its resolution, where 0 is the whole image."""
    return max(
        (option.arm for option in options if option.arm.tier == "cloud"),
        key=lambda arm: (settings.prior(arm).quality, arm.resolution or math.inf, arm.id),
        default=None,
    )


def _late(estimates: Sequence[Estimate], reasons: list[str | None], deadline_ms: float) -> list[str | None]:
    """Block what would miss the deadline; of all that may run the fastest stays: predictions can err."""
    able = [i for i, reason in enumerate(reasons) if reason is None]
    if not able:
        return reasons
    fastest = min(able, key=lambda i: estimates[i].late_ms)
    reasons = list(reasons)
    for i in able:
        if estimates[i].late_ms > deadline_ms and (i != fastest or deadline_ms <= 0):
            reasons[i] = LATE
    return reasons


def _cost(estimate: Estimate, learned: Learned, settings: ControllerSettings, now: float) -> float:
    cost = weighted(
        settings.weights,
        latency_ms=estimate.latency_ms,
        energy_j=estimate.energy_j,
        calls=int(estimate.arm.tier == "cloud"),
    )
    failing = learned.failures.chance(estimate.arm.server, now) * settings.learning.failure_s
    return cost + settings.weights.latency_per_s * failing


def _predict(
    candidate: _Candidate,
    able: Sequence[_Candidate],
    lam: float,
    context: Context,
    learned: Learned,
    settings: ControllerSettings,
) -> Prediction:
    """Score by the route rule: cost + lambda * loss - exploration, an escalation that may follow included."""
    net, arm, guess = learned.truth.net, candidate.arm, candidate.guess
    loss = net * guess.differ
    # An arm is worth trying as if it cost two deviations less than what is believed.
    bonus = candidate.cost * (1.0 - math.exp(-2.0 * candidate.estimate.ignorance))
    to_come, escalation = lam * loss, 0.0
    remaining = remaining_cost(
        {c.arm.id: c.estimate for c in able if c.arm.tier == "cloud"},
        {c.arm.id: c.cost + lam * net * c.guess.differ for c in able},
        None if context.deadline_ms is None else context.deadline_ms - candidate.estimate.latency_ms,
    )
    if arm.tier == "local" and remaining is not None:
        ask = remaining[1]
        to_come, escalation = after_answer(lam, net, guess.differ, learned.judge.spread(arm.skill), ask)
        bonus += settings.learning.exploration * ask * min(1.0, guess.ignorance)
    return Prediction(
        latency_ms=candidate.estimate.latency_ms,
        energy_j=candidate.estimate.energy_j,
        quality=1.0 - min(1.0, loss / learned.accuracy),
        score=candidate.cost + to_come - bonus,
        blocked=candidate.blocked,
        escalation=escalation,
    )


def remaining_cost(
    clouds: Mapping[str, Estimate], costs: Mapping[str, float], left_ms: float | None
) -> tuple[str, float] | None:
    """The cloud arm that is cheapest to ask next and its cost, of those that answer within `left_ms`."""
    fits = [name for name, estimate in clouds.items() if left_ms is None or estimate.late_ms <= left_ms]
    if not fits:
        return None
    cheapest = min(fits, key=lambda name: costs[name])
    return cheapest, costs[cheapest]


def _probe(
    best: _Candidate, able: Sequence[_Candidate], rate: float, rng: np.random.Generator
) -> tuple[_Candidate, float]:
    """The best arm, or rarely one of the others, with the probability that it was chosen."""
    if len(able) == 1:
        return best, 1.0
    if rng.random() >= rate:
        return best, 1.0 - rate
    others = [candidate for candidate in able if candidate is not best]
    return others[int(rng.integers(len(others)))], rate / len(others)


def _tier(arm: Arm) -> str:
    return "board" if arm.tier == "local" else "cloud"


def _reason(
    chosen: _Candidate,
    best: _Candidate,
    candidates: Sequence[_Candidate],
    predictions: Mapping[str, Prediction],
) -> str:
    here = _tier(chosen.arm)
    if chosen is not best:
        return f"{here}: tried to keep knowing it"
    others = [candidate for candidate in candidates if candidate.arm.tier != chosen.arm.tier]
    rivals = [candidate for candidate in others if candidate.blocked is None]
    there = "the cloud" if here == "board" else "the board"
    if not others:
        return f"{here}: {there} is not there"
    if not rivals:
        return f"{here}: {others[0].blocked}"
    rival = min(rivals, key=lambda candidate: predictions[candidate.arm.id].score)
    saved_ms = rival.estimate.latency_ms - chosen.estimate.latency_ms
    speed = f"{abs(saved_ms):.0f} ms {'faster' if saved_ms > 0 else 'slower'}"
    if here == "cloud":
        if saved_ms > 0:
            return f"cloud: {speed} than the board"
        return f"cloud: the board's answer would be wrong too often ({rival.guess.differ:.0%})"
    if chosen.guess.ignorance > 0.5:
        return "board: to learn how good it is"
    if predictions[chosen.arm.id].escalation > 0.5:
        return f"board: {speed}, and it may be sure of its answer"
    return f"board: likely as good as the cloud ({1 - chosen.guess.differ:.0%}) and {speed}"
