"""Compares a policy with the best fixed threshold in each phase of a drift script.

1. The optimum of a phase, in hindsight, is the cheapest candidate whose accuracy in the phase, over all
   seeds, is at least the floor's share of the most accurate candidate's. Candidates are cascades with a
   fixed threshold, and each tier always.
2. Regret is the cost above the optimum's on the same questions, as a share of the optimum's cost.
3. The policy has recovered from a change at the first question from which the next RECOVERY_WINDOW questions
   cost, over all seeds, at most TOLERANCE more than the optimum's, with an accuracy that is not certainly
   below the floor.
4. A replay is divided into windows of FLOOR_WINDOW questions. The floor is held in a window unless the 95%
   interval of its accuracy lies below the floor, and met if the estimate itself does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.replay_result import ReplayResult
from lab.sim.dataset import Matrix

Counts = NDArray[np.int8]  # small numbers: a report has many replays in memory
RECOVERY_WINDOW: Final = 50
TOLERANCE: Final = 0.10
FLOOR_WINDOW: Final = 200
Z95: Final = 1.96


@dataclass(frozen=True)
class DriftReplay:
    """The values of one replay; arrays of shape (questions,), `estimates` of shape (checks, 5)."""

    cost: Matrix
    correct: Counts
    reference: Counts
    on_board: Counts
    alarms: Counts
    phase: NDArray[np.int64]
    quality_alarms: Counts
    newcomer: Counts
    estimates: Matrix

    @classmethod
    def of(cls, result: ReplayResult) -> DriftReplay:
        """Selects the values from a result."""
        return cls(
            cost=result.cost,
            correct=result["correct"].astype(np.int8),
            reference=result.reference.astype(np.int8),
            on_board=result.on_board.astype(np.int8),
            alarms=result["alarms"].astype(np.int8),
            phase=result.phase,
            quality_alarms=result.quality_alarms.astype(np.int8),
            newcomer=result.newcomer.astype(np.int8),
            estimates=result.estimates,
        )


@dataclass(frozen=True)
class DriftReplays:
    """One policy on one script with all seeds; arrays of shape (seeds, questions).

    Attributes:
        estimates: for each seed, shape (checks, 5).
    """

    cost: Matrix
    correct: Counts
    reference: Counts
    on_board: Counts
    alarms: Counts
    phase: NDArray[np.int64]
    quality_alarms: Counts
    newcomer: Counts
    estimates: tuple[Matrix, ...]

    @classmethod
    def of(cls, replays: Sequence[DriftReplay]) -> DriftReplays:
        """Stacks replays that differ by seed."""
        return cls(
            cost=np.stack([replay.cost for replay in replays]),
            correct=np.stack([replay.correct for replay in replays]),
            reference=np.stack([replay.reference for replay in replays]),
            on_board=np.stack([replay.on_board for replay in replays]),
            alarms=np.stack([replay.alarms for replay in replays]),
            phase=replays[0].phase,
            quality_alarms=np.stack([replay.quality_alarms for replay in replays]),
            newcomer=np.stack([replay.newcomer for replay in replays]),
            estimates=tuple(replay.estimates for replay in replays),
        )


@dataclass(frozen=True)
class PhaseFigures:
    """The figures of a policy in one phase.

    Attributes:
        optimum: name of the best candidate in hindsight.
        recovery: questions until the policy recovered; None if it never did, 0 in the first phase.
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


def phase_figures(
    policy: DriftReplays,
    candidates: Mapping[str, DriftReplays],
    floor: float,
    *,
    outage_phases: Sequence[int] = (),
) -> list[PhaseFigures]:
    """Returns the figures of each phase; in `outage_phases` the floor does not apply: there is no cloud."""
    found = []
    for phase in range(int(policy.phase.max()) + 1):
        where = policy.phase == phase
        name = phase_optimum(candidates, where, floor)
        own, best = policy.cost[:, where], candidates[name].cost[:, where]
        gap = policy.correct[:, where] - floor * policy.reference[:, where]
        applies = phase not in outage_phases
        found.append(
            PhaseFigures(
                phase=phase,
                cost=float(own.mean()),
                optimum=name,
                optimum_cost=float(best.mean()),
                regret=float(own.mean() / best.mean() - 1),
                kept=float(policy.correct[:, where].mean() / max(1e-9, policy.reference[:, where].mean())),
                edge_share=float(policy.on_board[:, where].mean()),
                recovery=_recovery(own, best, gap if applies else None) if phase else 0,
                floor_held=not applies or _upper(gap) >= 0,
            )
        )
    return found


def phase_optimum(candidates: Mapping[str, DriftReplays], where: NDArray[np.bool_], floor: float) -> str:
    """Returns the name of the cheapest candidate that is accurate enough in a phase."""
    accuracy = {name: float(s.correct[:, where].mean()) for name, s in candidates.items()}
    enough = [name for name in candidates if accuracy[name] >= floor * max(accuracy.values())]
    return min(enough, key=lambda name: float(candidates[name].cost[:, where].mean()))


@dataclass(frozen=True)
class FloorWindows:
    """Shares of the windows in which the floor was held and met, of `windows` windows."""

    held: float
    met: float
    windows: int


def floor_windows(policy: DriftReplays, floor: float, *, outage_phases: Sequence[int] = ()) -> FloorWindows:
    """Counts the windows that lie outside `outage_phases`."""
    held, met = [], []
    for start in range(0, policy.cost.shape[1] - FLOOR_WINDOW + 1, FLOOR_WINDOW):
        part = slice(start, start + FLOOR_WINDOW)
        if any(phase in outage_phases for phase in policy.phase[part]):
            continue
        for seed in range(len(policy.cost)):
            gap = policy.correct[seed, part] - floor * policy.reference[seed, part]
            error = float(gap.std()) / math.sqrt(len(gap))
            held.append(float(gap.mean()) + Z95 * error >= 0)
            met.append(float(gap.mean()) >= 0)
    if not held:
        return FloorWindows(math.nan, math.nan, 0)
    return FloorWindows(float(np.mean(held)), float(np.mean(met)), len(held))


def _recovery(own: Matrix, best: Matrix, gap: Matrix | None) -> int | None:
    length = min(RECOVERY_WINDOW, own.shape[1])
    for start in range(own.shape[1] - length + 1):
        part = slice(start, start + length)
        cheap = own[:, part].mean() <= (1 + TOLERANCE) * best[:, part].mean()
        if cheap and (gap is None or _upper(gap[:, part]) >= 0):
            return start
    return None


def _upper(gap: Matrix) -> float:
    """Returns the upper end of the 95% interval of the mean; seeds count as independent."""
    by_seed = gap.mean(axis=1)
    if len(by_seed) < 2:
        return float(gap.mean() + Z95 * gap.std() / math.sqrt(gap.size))
    return float(by_seed.mean() + Z95 * by_seed.std(ddof=1) / math.sqrt(len(by_seed)))
