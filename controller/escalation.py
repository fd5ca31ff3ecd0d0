"""The second stage: whether to keep an answer, now that its confidence is known."""

from __future__ import annotations

import math

import numpy as np

from controller.confidence import Judgement
from controller.decision import Decision, FollowUp
from controller.difficulty import harder
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
    basis, candidates = decision.basis, decision.basis.candidates
    roster, late_ms = candidates.roster, candidates.estimates.late_ms
    lam, damage = basis.lam, basis.damage
    asks: list[float] = np.where(candidates.able, basis.asks, np.inf).tolist()
    place = roster.index[run.arm.id]
    asks[place] = math.inf
    if basis.failed is not None:  # the server, or the way to it, may be what failed
        for beside in np.flatnonzero(roster.beside(basis.failed)):
            asks[beside] = math.inf
    alone = min(asks) == math.inf
    loss = damage.one(place, judgement.differ)
    ask = math.inf
    if run.arm.tier == "local" and not alone:
        timely = asks
        if basis.deadline_ms is not None:
            left_ms = basis.deadline_ms - (run.latency_ms or 0.0)
            timely = [cost if late <= left_ms else math.inf for cost, late in zip(asks, late_ms, strict=True)]
        ask = min(timely)
        risky = damage.one(place, judgement.cautious)
        if ask < math.inf and not keeps(lam, risky, ask):
            differ, cautious = candidates.guesses.both
            risk = harder(cautious, judgement.differ, float(differ[place]))
            harder_asks = candidates.cost + lam * damage.of(risk[None])[0]
            next_arm = int(np.argmin(np.where(np.isfinite(timely), harder_asks, np.inf)))
            if not keeps(lam, risky, float(harder_asks[next_arm])):
                return FollowUp("escalate", roster.arms[next_arm], 1.0, why_escalated(judgement), loss), 0.0
    in_time = ask < math.inf or run.arm.tier == "cloud"
    reason = why_kept(run.arm, judgement, alone=alone, in_time=in_time)
    home = roster.home
    if home is None or asks[home] == math.inf:
        return FollowUp("keep", None, 1.0, reason, loss), 0.0
    if candidates.estimates.latency_ms[home] > settings.audit_room_ms:
        return FollowUp("keep", None, 1.0, reason, loss), 0.0
    propensity = learned.audit.propensity(judgement.differ, loss)
    if rng.random() < propensity:
        return FollowUp("audit", roster.arms[home], propensity, reason, loss), propensity
    return FollowUp("keep", None, 1.0 - propensity, reason, loss), propensity
