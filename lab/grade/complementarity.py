"""Complementarity of the models of a tier: on which questions one is right and another wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.arm import Tier
from lab.trace.trace import Trace

Rights = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Complementarity:
    """The models of one tier, each at its most accurate resolution, on the questions that all were asked.

    Attributes:
        arms: one for each model.
        count: number of questions.
        best: highest accuracy of one model.
        union: share of the questions that at least one model answers correctly.
        lead: for each ordered pair of models, the type with the greatest lead of the first, and this lead.
    """

    tier: Tier
    arms: tuple[str, ...]
    count: int
    best: float
    union: float
    lead: dict[tuple[str, str], tuple[str, float]]


def complementarity(trace: Trace, tier: Tier) -> Complementarity | None:
    """Compares the models of `tier`; returns None if there are fewer than two."""
    best: dict[str, str] = {}
    rights = _rights(trace)
    for arm in trace.arms:
        if arm.tier == tier and arm.skill in rights:
            previous = best.get(arm.model)
            if previous is None or rights[arm.skill].mean() > rights[previous].mean():
                best[arm.model] = arm.skill
    arms = tuple(best.values())
    if len(arms) < 2:
        return None
    all_ran = np.all([[run is not None for run in trace.runs[arm]] for arm in arms], axis=0)
    if not all_ran.any():
        return None
    right = {arm: np.array([bool(run and run.correct) for run in trace.runs[arm]])[all_ran] for arm in arms}
    types = np.array([question.type for question in trace.questions])[all_ran]
    return Complementarity(
        tier=tier,
        arms=arms,
        count=int(all_ran.sum()),
        best=max(float(one.mean()) for one in right.values()),
        union=float(np.any(list(right.values()), axis=0).mean()),
        lead={
            (one, other): _lead(right[one], right[other], types)
            for one in arms
            for other in arms
            if one != other
        },
    )


def _rights(trace: Trace) -> Rights:
    """Returns for every arm that was run whether each answer is right."""
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
