"""The second stage: whether to keep an answer, now that its confidence is known."""

from __future__ import annotations

import math

import numpy as np

from controller.arm import Arm
from controller.confidence import Judgement
from controller.decision import Basis, Decision, FollowUp
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
    now: float,
) -> tuple[FollowUp, float]:
    """What to do with an answer that is not the reference's, and how likely an audit of it was.

    The time since the decision counts against the deadline, not only the answer's own latency: calls that
    failed or were late may precede it.
    """
    basis, candidates = decision.basis, decision.basis.candidates
    roster = candidates.roster
    damage = basis.damage
    asks: list[float] = basis.asks.tolist()
    place = roster.index[run.arm.id]
    asks[place] = math.inf
    if basis.failed is not None:  # the server, or the way to it, may be what failed
        for beside in np.flatnonzero(roster.beside(basis.failed) | ~candidates.able):
            asks[beside] = math.inf
    alone = min(asks) == math.inf
    loss = damage.one(place, judgement.differ)
    in_time = True
    if run.arm.tier == "local" and not alone:
        timely = asks
        if basis.deadline_ms is not None:
            left_ms = basis.deadline_ms - max(run.latency_ms or 0.0, (now - decision.time) * 1e3)
            timely = np.where(candidates.estimates.late_ms <= left_ms, asks, math.inf).tolist()
        in_time = min(timely) < math.inf
        next_arm = _worth_asking(timely, place, judgement, basis)
        if next_arm is not None:
            return FollowUp("escalate", next_arm, 1.0, why_escalated(judgement), loss), 0.0
    reason = why_kept(run.arm, judgement, alone=alone, in_time=in_time)
    home = roster.home
    if home is None or asks[home] == math.inf:
        return FollowUp("keep", None, 1.0, reason, loss), 0.0
    if candidates.estimates.latency_ms[home] > settings.audit_room_ms:
        return FollowUp("keep", None, 1.0, reason, loss), 0.0
    propensity = learned.audit.propensity(judgement.differ, loss, basis.scrutiny)
    if rng.random() < propensity:
        return FollowUp("audit", roster.arms[home], propensity, reason, loss), propensity
    return FollowUp("keep", None, 1.0 - propensity, reason, loss), propensity


def _worth_asking(asks: list[float], place: int, judgement: Judgement, basis: Basis) -> Arm | None:
    """The cloud arm to ask after the answer of the arm at `place`; None when keeping it costs no more.

    Args:
        asks: what asking each arm costs, as it was expected before the answer; infinite where it cannot be.
    """
    candidates, lam, damage = basis.candidates, basis.lam, basis.damage
    risk = damage.one(place, judgement.cautious)
    if keeps(lam, risk, min(asks)):
        return None
    differ, cautious = candidates.guesses.both
    lost = damage.of(harder(cautious, judgement.differ, float(differ[place]))[None])[0]
    now = np.where(np.isfinite(asks), candidates.cost + lam * lost, np.inf)
    best = int(np.argmin(now))
    return None if keeps(lam, risk, float(now[best])) else candidates.roster.arms[best]
