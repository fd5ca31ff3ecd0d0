"""The first stage: which arm to ask, before any has run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.arm import Arm
from controller.beliefs import Vector
from controller.candidates import Candidates, gather
from controller.context import Context
from controller.damage import Damage
from controller.decision import Basis, Decision
from controller.errors import NoArm
from controller.learned import Learned
from controller.quality import features
from controller.rule import after_answer
from controller.settings import ControllerSettings

HOPE: Final = 1.0  # deviations of an arm's cost by which it is taken to be cheaper than believed


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
    candidates = gather(context, learned, settings, x, now)
    roster, able, cost = candidates.roster, candidates.able, candidates.cost
    count = int(np.count_nonzero(able))
    if count == 0:
        why = "; ".join(f"{arm}: {why}" for arm, why in zip(roster.ids, candidates.blocked, strict=True))
        raise NoArm(f"nothing can answer this question now: {why or 'there is no model server'}")
    lam, damage = learned.floor.lam(candidates.call), learned.truth.damage(x, roster, candidates.looks)
    deadline_ms = math.inf if context.deadline_ms is None else context.deadline_ms
    lost, cautious = candidates.guesses.both * damage.net(candidates.guesses.z)
    asks = candidates.asks(lam, cautious)
    ask = _ask_after(asks, candidates, deadline_ms)
    spread = learned.judge.spreads(roster.skills)
    score = _scores(candidates, lam, damage, lost, ask, spread, settings)
    best = int(np.where(able, score, np.inf).argmin())
    chosen, propensity = _probe(best, able, count, settings.learning.probe_rate, rng)
    home = roster.home if roster.home is not None and able[roster.home] else None
    contested = home is not None and count > 1
    basis = Basis(
        x=x,
        device=context.device,
        deadline_ms=context.deadline_ms,
        candidates=candidates,
        score=score,
        asks=asks,
        ask=ask,
        spread=spread,
        lam=lam,
        damage=damage,
        accuracy=learned.accuracy,
        best=best,
        contested=contested,
        swayed=contested and bool((able & (cost < cost[home])).any()),
        scrutiny=context.scrutiny,
    )
    return Decision(name, roster.arms[chosen], propensity, now, basis)


def next_best(decision: Decision, failed: Arm, failure: str) -> Decision | None:
    """The decision without an arm that failed; None when nothing is left.

    Another arm of the same server comes last: what failed may be the server, or the way to it.
    """
    basis = decision.basis
    roster = basis.candidates.roster
    candidates = basis.candidates.without(roster.index[failed.id], f"it failed: {failure}")
    able = candidates.able
    if not able.any():
        return None
    elsewhere = able & ~roster.beside(failed)
    best = int(np.argmin(np.where(elsewhere if elsewhere.any() else able, basis.score, np.inf)))
    contested = basis.contested and roster.home is not None and bool(able[roster.home] and able.sum() > 1)
    left = basis._replace(candidates=candidates, best=best, contested=contested, failed=failed)
    return replace(decision, arm=roster.arms[best], basis=left)


def _ask_after(asks: Vector, candidates: Candidates, deadline_ms: float) -> Vector:
    """The least cost of asking the cloud after each of the board's arms; infinite where it would be late."""
    least: float | Vector = asks.min()
    if deadline_ms < math.inf:
        left_ms = deadline_ms - candidates.estimates.latency_ms
        in_time = candidates.estimates.late_ms <= left_ms[:, None]
        least = np.where(in_time, asks, np.inf).min(axis=1)
    return np.where(candidates.roster.cloud, np.inf, least)


def _scores(
    candidates: Candidates,
    lam: float,
    damage: Damage,
    lost: Vector,
    ask: Vector,
    spread: Vector,
    settings: ControllerSettings,
) -> Vector:
    """The route rule: cost + lambda * loss - exploration, with what an escalation to come would cost."""
    cost, guesses = candidates.cost, candidates.guesses
    estimated = cost - candidates.money  # a price is known, not estimated
    exploration = estimated * -np.expm1(-HOPE * candidates.estimates.ignorance)
    to_come = lam * lost
    cascades = ask < np.inf
    if cascades.any():
        to_come = np.where(cascades, after_answer(lam, damage, guesses.z[0], spread, ask), to_come)
        unknown = np.minimum(1.0, guesses.ignorance)
        exploration += settings.learning.exploration * np.where(cascades, ask, 0.0) * unknown
    score: Vector = cost + to_come - exploration
    return score


def _probe(
    best: int, able: NDArray[np.bool_], count: int, rate: float, rng: np.random.Generator
) -> tuple[int, float]:
    """The best arm, or rarely one of the others, with the probability that it was chosen."""
    if count == 1:
        return best, 1.0
    if rng.random() >= rate:
        return best, 1.0 - rate
    others = np.flatnonzero(able)
    others = others[others != best]
    return int(others[int(rng.integers(len(others)))]), rate / len(others)
