"""How a policy fares through the phases of a drift script, against the best fixed threshold of each.

1. A phase's optimum, in hindsight, is the cheapest of the candidates (cascades with a fixed threshold, and
   each tier always) whose accuracy in it, over all seeds, is at least the floor's share of the best one's.
2. Regret is the cost above the optimum's on the same questions, as a share of it.
3. A change is recovered from at the first question from which on the next WINDOW cost, over all seeds, at
   most TOLERANCE more than the optimum's do, with an accuracy that is not certainly below the floor.
4. A replay is cut into stretches of STRETCH questions. The floor is held in one unless the 95% interval of
   its accuracy kept lies below the floor, and met if the estimate itself does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.replay_result import Result
from lab.sim.dataset import Matrix

WINDOW: Final = 50
TOLERANCE: Final = 0.10
STRETCH: Final = 200
Z95: Final = 1.96


@dataclass(frozen=True)
class Course:
    """What is kept of one drifting replay; arrays of shape (questions,)."""

    cost: Matrix
    correct: Matrix
    reference: NDArray[np.bool_]
    on_board: NDArray[np.bool_]
    alarms: Matrix
    phase: NDArray[np.int64]

    @classmethod
    def of(cls, result: Result) -> Course:
        """Drop the rest of a replay."""
        return cls(
            cost=result.cost,
            correct=result["correct"],
            reference=result.reference,
            on_board=result.on_board,
            alarms=result["alarms"],
            phase=result.phase,
        )


@dataclass(frozen=True)
class Series:
    """One policy through one script, all seeds; arrays of shape (seeds, questions)."""

    cost: Matrix
    correct: Matrix
    reference: Matrix
    on_board: Matrix
    alarms: Matrix
    phase: NDArray[np.int64]

    @classmethod
    def of(cls, courses: Sequence[Course]) -> Series:
        """Stack replays."""
        return cls(
            cost=np.stack([course.cost for course in courses]),
            correct=np.stack([course.correct for course in courses]),
            reference=np.stack([course.reference for course in courses]).astype(np.float64),
            on_board=np.stack([course.on_board for course in courses]).astype(np.float64),
            alarms=np.stack([course.alarms for course in courses]),
            phase=courses[0].phase,
        )


@dataclass(frozen=True)
class Segment:
    """A policy in one phase; `recovery` is None where it never did, and 0 in the first phase.

    Attributes:
        optimum: name of the best candidate in hindsight.
        floor_held: whether the accuracy of the whole phase is not certainly below the floor.
    """

    phase: int
    cost: float
    optimum: str
    optimum_cost: float
    regret: float
    kept: float
    edge_share: float
    recovery: int | None
    floor_held: bool


def segments(
    policy: Series, candidates: Mapping[str, Series], floor: float, *, away: Sequence[int] = ()
) -> list[Segment]:
    """The policy in each phase; in those of `away` the cloud is not there, and the floor does not bind."""
    found = []
    for phase in range(int(policy.phase.max()) + 1):
        where = policy.phase == phase
        name = optimum_in(candidates, where, floor)
        own, best = policy.cost[:, where], candidates[name].cost[:, where]
        gap = policy.correct[:, where] - floor * policy.reference[:, where]
        bound = phase not in away
        found.append(
            Segment(
                phase=phase,
                cost=float(own.mean()),
                optimum=name,
                optimum_cost=float(best.mean()),
                regret=float(own.mean() / best.mean() - 1),
                kept=float(policy.correct[:, where].mean() / max(1e-9, policy.reference[:, where].mean())),
                edge_share=float(policy.on_board[:, where].mean()),
                recovery=_recovery(own, best, gap if bound else None) if phase else 0,
                floor_held=not bound or _upper(gap) >= 0,
            )
        )
    return found


def optimum_in(candidates: Mapping[str, Series], where: NDArray[np.bool_], floor: float) -> str:
    """Name of the cheapest candidate that is accurate enough in a phase."""
    accuracy = {name: float(s.correct[:, where].mean()) for name, s in candidates.items()}
    enough = [name for name in candidates if accuracy[name] >= floor * max(accuracy.values())]
    return min(enough, key=lambda name: float(candidates[name].cost[:, where].mean()))


@dataclass(frozen=True)
class Floor:
    """Shares of the stretches in which the floor was held, and met."""

    held: float
    met: float
    stretches: int


def floor_held(policy: Series, floor: float, *, away: Sequence[int] = ()) -> Floor:
    """Over all stretches that lie outside the phases of `away`."""
    held, met = [], []
    for start in range(0, policy.cost.shape[1] - STRETCH + 1, STRETCH):
        part = slice(start, start + STRETCH)
        if any(phase in away for phase in policy.phase[part]):
            continue
        for seed in range(len(policy.cost)):
            gap = policy.correct[seed, part] - floor * policy.reference[seed, part]
            spread = float(gap.std()) / math.sqrt(len(gap))
            held.append(float(gap.mean()) + Z95 * spread >= 0)
            met.append(float(gap.mean()) >= 0)
    if not held:
        return Floor(math.nan, math.nan, 0)
    return Floor(float(np.mean(held)), float(np.mean(met)), len(held))


def _recovery(own: Matrix, best: Matrix, gap: Matrix | None) -> int | None:
    length = min(WINDOW, own.shape[1])
    for start in range(own.shape[1] - length + 1):
        part = slice(start, start + length)
        cheap = own[:, part].mean() <= (1 + TOLERANCE) * best[:, part].mean()
        if cheap and (gap is None or _upper(gap[:, part]) >= 0):
            return start
    return None


def _upper(gap: Matrix) -> float:
    """Upper end of the 95% interval of the mean, seeds taken as independent."""
    by_seed = gap.mean(axis=1)
    if len(by_seed) < 2:
        return float(gap.mean() + Z95 * gap.std() / math.sqrt(gap.size))
    return float(by_seed.mean() + Z95 * by_seed.std(ddof=1) / math.sqrt(len(by_seed)))
