"""The second stage: whether to keep an answer, now that its confidence is known."""

from __future__ import annotations

import numpy as np

from controller.confidence import Judgement
from controller.decision import Decision, FollowUp
from controller.learned import Learned
from controller.outcome import Execution
from controller.placement import remaining_cost
from controller.rule import keeps
from controller.settings import ControllerSettings


def follow_up(
    decision: Decision,
    run: Execution,
    judgement: Judgement,
    learned: Learned,
    settings: ControllerSettings,
    rng: np.random.Generator,
) -> tuple[FollowUp, float]:
    """What to do with an answer, and how likely it was to be audited if kept."""
    basis, net = decision.basis, learned.truth.net
    place = "board" if run.arm.tier == "local" else "cloud"
    loss = net * judgement.differ
    able = {
        name: estimate
        for name, estimate in basis.estimates.items()
        if estimate.arm.tier == "cloud" and decision.predictions[name].blocked is None and name != run.arm.id
    }
    lam = learned.floor.lam(min((basis.costs[name] for name in able), default=0.0))
    costs = {name: basis.costs[name] + lam * net * basis.guesses[name].differ for name in able}
    left_ms = None if basis.deadline_ms is None else basis.deadline_ms - (run.latency_ms or 0.0)
    remaining = remaining_cost(able, costs, left_ms) if run.arm.tier == "local" else None
    if remaining is not None and not keeps(lam, net * judgement.cautious, remaining[1]):
        reason = f"cloud: the board was unsure ({judgement.differ:.0%} risk)"
        return FollowUp("escalate", basis.estimates[remaining[0]].arm, 1.0, reason, loss), 0.0
    reference = basis.reference
    propensity = 0.0
    if reference is not None and reference.id in able and _has_room(decision, settings):
        propensity = learned.audit.propensity(judgement.differ)
    sure = f"{place}: sure enough ({judgement.differ:.0%} risk)"
    if not able:
        sure = f"{place}: there is no other to ask"
    elif remaining is None and run.arm.tier == "local":
        sure = f"{place}: no time is left to ask the cloud"
    if propensity > 0.0 and rng.random() < propensity:
        return FollowUp("audit", reference, propensity, sure, loss), propensity
    return FollowUp("keep", None, 1.0 - propensity, sure, loss), propensity


def _has_room(decision: Decision, settings: ControllerSettings) -> bool:
    reference = decision.basis.reference
    return (
        reference is not None and decision.basis.estimates[reference.id].latency_ms <= settings.audit_room_ms
    )
