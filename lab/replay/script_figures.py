"""The figures of one policy on one drift script, over all seeds.

1. The change is the first question of the second phase. Scripts whose phases alternate have none, and
   scripts with one phase neither.
2. Lost are the right answers that the reference would have given more than the policy, from the change on
   (without a change, of all questions); allowed is the share of them that the floor permits.
3. The alarm is the first one about answers after the change. It is counted in questions from the change.
4. The policy is back at the first question after the change from which the next BACK_WINDOW questions, over
   all seeds together, meet the floor.
5. While the cloud cannot be reached there is no choice: these questions count for cost and accuracy only.
6. A policy that publishes an estimate of what it keeps is checked every CHECK_EVERY questions: its interval
   should cover what it kept in fact, of the same questions. The bias is the mean of estimate - fact.
7. The share of a new model among the cloud's answers is counted from SETTLED questions after the change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.replay.drift_phases import Counts, DriftReplays, floor_windows
from lab.sim.dataset import Matrix
from lab.sim.drift_scripts import DriftScript
from lab.sim.replay_record import CHECK_EVERY, Estimate

BACK_WINDOW: Final = 200
SETTLED: Final = 500
MEMORY: Final = 0.999  # weight of a question relative to the next, if an estimate has no window
FIRST_CHECK: Final = 4 * CHECK_EVERY  # an estimate about fewer questions says little


@dataclass(frozen=True)
class ScriptFigures:
    """The figures; means over seeds.

    Attributes:
        kept: right answers as a share of the reference's.
        above_floor: kept - floor.
        lost, allowed: right answers per replay.
        alarm: questions until the first alarm, of the seeds with one; NaN if none has.
        alarmed: share of the seeds with an alarm after the change.
        alarms: number of alarms about answers per replay.
        back: questions until the floor is met again; NaN if it never is, or without a change.
        held, met: shares of windows, as `FloorWindows`.
        coverage: share of the checks in which the interval covers what was kept; NaN without estimates.
        bias: mean of the estimate minus what was kept.
        newcomer: share of the new model among the cloud's answers; NaN in a script without one.
    """

    kept: float
    above_floor: float
    accuracy: float
    cost: float
    lost: float
    allowed: float
    alarm: float
    alarmed: float
    alarms: float
    back: float
    held: float
    met: float
    coverage: float
    bias: float
    newcomer: float


def script_figures(replays: DriftReplays, script: DriftScript, floor: float) -> ScriptFigures:
    """Computes the figures of a policy whose floor is, or should be, `floor`."""
    change = change_of(script, replays.cost.shape[1])
    after = slice(change or 0, None)
    choice = (~np.isin(replays.phase, outage_phases(script))).astype(np.int8)
    right, expected = replays.correct * choice, replays.reference * choice
    reference, correct = expected[:, after], right[:, after]
    seeds = len(replays.cost)
    first_alarms = [] if change is None else [_first(row[after]) for row in replays.quality_alarms]
    alarms = [alarm for alarm in first_alarms if alarm is not None]
    windows = floor_windows(replays, floor, outage_phases=outage_phases(script))
    checks = np.concatenate(
        [_checks(*values) for values in zip(replays.estimates, right, expected, strict=True)]
    )
    kept = float(right.sum() / max(1.0, expected.sum()))
    return ScriptFigures(
        kept=kept,
        above_floor=kept - floor,
        accuracy=float(replays.correct.mean()),
        cost=float(replays.cost.mean()),
        lost=float((reference - correct).sum() / seeds),
        allowed=float((1.0 - floor) * reference.sum() / seeds),
        alarm=float(np.mean(alarms)) if alarms else math.nan,
        alarmed=len(alarms) / seeds if first_alarms else math.nan,
        alarms=float(replays.quality_alarms.sum() / seeds),
        back=math.nan if change is None else _back(correct - floor * reference),
        held=windows.held,
        met=windows.met,
        coverage=float(checks[:, 0].mean()) if len(checks) else math.nan,
        bias=float(checks[:, 1].mean()) if len(checks) else math.nan,
        newcomer=math.nan if script.newcomer is None else _newcomer_share(replays, change or 0),
    )


def change_of(script: DriftScript, count: int) -> int | None:
    """Returns the number of the first question after the change; None if a script has no single change."""
    if script.cycle is not None or len(script.phases) < 2:
        return None
    return script.starts(count)[1]


def outage_phases(script: DriftScript) -> tuple[int, ...]:
    """Returns the phases in which the cloud is not reachable, so that there is no choice."""
    return tuple(place for place, phase in enumerate(script.phases) if phase.conditions.down)


def _first(alarms: Counts) -> int | None:
    return int(alarms.argmax()) if alarms.any() else None


def _back(gap: Matrix) -> float:
    """Returns the first start of a window in which the mean of `gap`, of all seeds, is not below 0."""
    sums = np.concatenate([[0.0], np.cumsum(gap.sum(axis=0))])
    length = min(BACK_WINDOW, gap.shape[1])
    meets = sums[length:] - sums[:-length] >= 0
    return float(meets.argmax()) if meets.any() else math.nan


def _newcomer_share(replays: DriftReplays, change: int) -> float:
    settled = slice(change + SETTLED, None)
    cloud = (1.0 - replays.on_board[:, settled]).sum()
    return float(replays.newcomer[:, settled].sum() / cloud) if cloud else math.nan


def _checks(estimates: Matrix, right: Counts, reference: Counts) -> Matrix:
    """Returns for each check whether the interval covers what was kept, and the error; shape (checks, 2)."""
    checked = []
    for row in estimates:
        estimate = Estimate(*row.tolist())
        if estimate.number >= FIRST_CHECK:
            before = slice(int(estimate.number))
            kept = _kept(right[before], reference[before], estimate.window)
            checked.append((float(estimate.low <= kept <= estimate.high), estimate.estimate - kept))
    return np.array(checked).reshape(-1, 2)


def _kept(right: Counts, reference: Counts, window: float) -> float:
    """Returns what was kept, as far back as an estimate with this window is about."""
    age = np.arange(len(right) - 1, -1, -1)
    weights = MEMORY**age if math.isnan(window) else (age < window).astype(np.float64)
    return float((weights * right).sum() / max(1e-9, float((weights * reference).sum())))
