"""The first stage: which arm to ask, before any has run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from controller.arm import Arm
from controller.candidates import Ask, Candidate, asks, first_in_time, gather
from controller.context import Context
from controller.decision import Basis, Decision, Prediction
from controller.errors import NoArm
from controller.learned import Learned
from controller.quality import features
from controller.reason import why_failed_over, why_placed
from controller.rule import after_answer
from controller.settings import ControllerSettings


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
    candidates, reference = gather(context, learned, settings, x, now)
    able = [candidate for candidate in candidates if candidate.blocked is None]
    if not able:
        why = "; ".join(f"{candidate.arm.id}: {candidate.blocked}" for candidate in candidates)
        raise NoArm(f"nothing can answer this question now: {why or 'there is no model server'}")
    lam = learned.floor.lam(min((c.cost for c in able if c.arm.tier == "cloud"), default=0.0))
    predictions = _predict(candidates, lam, context.deadline_ms, learned, settings)
    best = min(able, key=lambda candidate: predictions[candidate.arm.id].score)
    chosen, propensity = _probe(best, able, settings.learning.probe_rate, rng)
    home = next((candidate for candidate in able if candidate.arm is reference), None)
    rival = min((candidate.cost for candidate in able if candidate is not home), default=None)
    contested = home is not None and rival is not None
    basis = Basis(
        x=x,
        device=context.device,
        deadline_ms=context.deadline_ms,
        candidates={candidate.arm.id: candidate for candidate in candidates},
        reference=reference,
        contested=contested,
        swayed=home is not None and rival is not None and rival < home.cost,
    )
    reason = why_placed(chosen, best, candidates, predictions)
    return Decision(name, chosen.arm, propensity, predictions, reason, now, basis)


def next_best(decision: Decision, failed: Arm, failure: str) -> Decision | None:
    """The decision without an arm that failed; None when nothing is left."""
    reason = f"it failed: {failure}"
    basis = decision.basis
    candidates = {**basis.candidates, failed.id: basis.candidates[failed.id]._replace(blocked=reason)}
    predictions = {
        **decision.predictions,
        failed.id: replace(decision.predictions[failed.id], blocked=reason),
    }
    able = [name for name, candidate in candidates.items() if candidate.blocked is None]
    if not able:
        return None
    arm = candidates[min(able, key=lambda name: predictions[name].score)].arm
    contested = basis.contested and basis.reference is not None and basis.reference.id in able
    return replace(
        decision,
        arm=arm,
        predictions=predictions,
        reason=why_failed_over(arm, failed),
        basis=replace(basis, candidates=candidates, contested=contested and len(able) > 1),
    )


def _predict(
    candidates: Sequence[Candidate],
    lam: float,
    deadline_ms: float | None,
    learned: Learned,
    settings: ControllerSettings,
) -> dict[str, Prediction]:
    net, accuracy = learned.truth.net, learned.accuracy
    asked = asks(candidates, lam, net)
    predictions = {}
    for candidate in candidates:
        score, escalation = _score(candidate, asked, lam, net, deadline_ms, learned, settings)
        predictions[candidate.arm.id] = Prediction(
            latency_ms=candidate.estimate.latency_ms,
            energy_j=candidate.estimate.energy_j,
            quality=1.0 - min(1.0, net * candidate.guess.differ / accuracy),
            score=score,
            blocked=candidate.blocked,
            escalation=escalation,
        )
    return predictions


def _score(
    candidate: Candidate,
    asked: Sequence[Ask],
    lam: float,
    net: float,
    deadline_ms: float | None,
    learned: Learned,
    settings: ControllerSettings,
) -> tuple[float, float]:
    """The route rule: cost + lambda * loss - exploration; and how likely an escalation is, included in it."""
    arm, estimate, guess, cost, _ = candidate
    # An arm is worth trying as if it cost two deviations less than what is believed.
    exploration = cost * (1.0 - math.exp(-2.0 * estimate.ignorance))
    ask = None
    if arm.tier == "local":
        ask = first_in_time(asked, None if deadline_ms is None else deadline_ms - estimate.latency_ms)
    if ask is None:
        return cost + lam * net * guess.differ - exploration, 0.0
    to_come, escalation = after_answer(lam, net, guess.differ, learned.judge.spread(arm.skill), ask.cost)
    exploration += settings.learning.exploration * ask.cost * min(1.0, guess.ignorance)
    return cost + to_come - exploration, escalation


def _probe(
    best: Candidate, able: Sequence[Candidate], rate: float, rng: np.random.Generator
) -> tuple[Candidate, float]:
    """The best arm, or rarely one of the others, with the probability that it was chosen."""
    if len(able) == 1:
        return best, 1.0
    if rng.random() >= rate:
        return best, 1.0 - rate
    others = [candidate for candidate in able if candidate is not best]
    return others[int(rng.integers(len(others)))], rate / len(others)
