"""The second stage: whether to keep an answer, now that its confidence is known."""

from __future__ import annotations

import numpy as np

from controller.candidates import asks, first_in_time
from controller.confidence import Judgement
from controller.decision import Decision, FollowUp
from controller.learned import Learned
from controller.outcome import Execution
from controller.reason import why_escalated, why_kept
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
    """What to do with an answer that is not the reference's, and how likely an audit of it was."""
    basis, net = decision.basis, learned.truth.net
    others = [candidate for candidate in basis.candidates.values() if candidate.arm.id != run.arm.id]
    lam = learned.floor.lam(
        min((c.cost for c in others if c.arm.tier == "cloud" and c.blocked is None), default=0.0)
    )
    asked = asks(others, lam, net)
    left_ms = None if basis.deadline_ms is None else basis.deadline_ms - (run.latency_ms or 0.0)
    ask = first_in_time(asked, left_ms) if run.arm.tier == "local" else None
    loss = net * judgement.differ
    if ask is not None and not keeps(lam, net * judgement.cautious, ask.cost):
        return FollowUp("escalate", ask.candidate.arm, 1.0, why_escalated(judgement), loss), 0.0
    in_time = ask is not None or run.arm.tier == "cloud"
    reason = why_kept(run.arm, judgement, alone=not asked, in_time=in_time)
    home = next((ask.candidate for ask in asked if ask.candidate.arm == basis.reference), None)
    if home is None or home.estimate.latency_ms > settings.audit_room_ms:
        return FollowUp("keep", None, 1.0, reason, loss), 0.0
    propensity = learned.audit.propensity(judgement.differ)
    if rng.random() < propensity:
        return FollowUp("audit", home.arm, propensity, reason, loss), propensity
    return FollowUp("keep", None, 1.0 - propensity, reason, loss), propensity
