"""What the arms of a trace can do together: where one is right and another wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.arm import Tier
from lab.trace.trace import Trace

Rights = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Together:
    """The models of one tier, each at the resolution it is best at, on the questions that all of them had.

    Attributes:
        arms: one for each model.
        best: the highest accuracy of one of them.
        union: share of questions that at least one of them answers rightly.
        lead: for each of two models, the type on which it beats the other by most, and by how much.
    """

    tier: Tier
    arms: tuple[str, ...]
    count: int
    best: float
    union: float
    lead: dict[tuple[str, str], tuple[str, float]]


def together(trace: Trace, tier: Tier) -> Together | None:
    """Compare the models of `tier`; None where there are fewer than two."""
    best: dict[str, str] = {}
    rights = _rights(trace)
    for arm in trace.arms:
        if arm.tier == tier and arm.skill in rights:
            before = best.get(arm.model)
            if before is None or rights[arm.skill].mean() > rights[before].mean():
                best[arm.model] = arm.skill
    arms = tuple(best.values())
    if len(arms) < 2:
        return None
    all_ran = np.all([[run is not None for run in trace.runs[arm]] for arm in arms], axis=0)
    if not all_ran.any():
        return None
    held = {arm: np.array([bool(run and run.correct) for run in trace.runs[arm]])[all_ran] for arm in arms}
    types = np.array([question.type for question in trace.questions])[all_ran]
    return Together(
        tier=tier,
        arms=arms,
        count=int(all_ran.sum()),
        best=max(float(right.mean()) for right in held.values()),
        union=float(np.any(list(held.values()), axis=0).mean()),
        lead={
            (one, other): _lead(held[one], held[other], types)
            for one in arms
            for other in arms
            if one != other
        },
    )


def _rights(trace: Trace) -> Rights:
    """Of every arm that was run at all, whether each answer is right."""
    ran = {arm: [run.correct for run in runs if run] for arm, runs in trace.runs.items()}
    return {arm: np.array(right) for arm, right in ran.items() if right}


def _lead(
    one: NDArray[np.bool_], other: NDArray[np.bool_], types: NDArray[np.str_] | Sequence[str]
) -> tuple[str, float]:
    names = np.array(types)
    leads = {
        str(name): float(one[names == name].mean() - other[names == name].mean()) for name in np.unique(names)
    }
    most = max(leads, key=lambda name: leads[name])
    return most, leads[most]
