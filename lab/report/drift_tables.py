"""The tables of the drifting replays."""

from __future__ import annotations

from typing import Final

import numpy as np

from lab.replay.drift_phases import Floor, Segment, floor_held, segments
from lab.report.findings import Findings
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text, yes
from lab.sim.drift_scripts import DRIFTS, Script

RECOVERED_BY: Final = 150


def away(script: Script) -> tuple[int, ...]:
    """Phases in which the cloud is not there, so that nothing can be chosen."""
    return tuple(place for place, phase in enumerate(script.phases) if phase.conditions.down)


def segments_of(findings: Findings, policy: str) -> dict[str, list[Segment]]:
    """A policy's phases, by script."""
    plan = findings.plan
    key = plan.ours if policy == "inarvl" else (policy, plan.default(policy))
    return {
        name: segments(
            findings.courses[name, key], findings.candidates(name), plan.floor, away=away(DRIFTS[name])
        )
        for name in plan.scripts
    }


def floors_of(findings: Findings) -> dict[str, Floor]:
    """How the controller's floor fared, by script."""
    plan = findings.plan
    return {
        name: floor_held(findings.courses[name, plan.ours], plan.floor, away=away(DRIFTS[name]))
        for name in plan.scripts
    }


def drift_table(findings: Findings) -> Table:
    """The controller through every phase of every script."""
    rows: list[tuple[Cell, ...]] = []
    marked: list[int] = []
    floors = floors_of(findings)
    for name, found in segments_of(findings, "inarvl").items():
        alarms = findings.courses[name, findings.plan.ours].alarms
        phases = findings.courses[name, findings.plan.ours].phase
        for segment in found:
            during = float(alarms[:, phases == segment.phase].sum(axis=1).mean())
            recovery = Cell(None, "never") if segment.recovery is None else _count(segment.recovery)
            if segment.recovery is None or segment.recovery > RECOVERED_BY:
                marked.append(len(rows))
            rows.append(
                (
                    text(name),
                    text(DRIFTS[name].phases[segment.phase].name),
                    number(segment.edge_share, "{:.0%}"),
                    number(segment.kept, PERCENT),
                    number(segment.cost, "{:.3f}"),
                    text(segment.optimum),
                    number(segment.regret, SIGNED),
                    recovery if segment.phase else text("-"),
                    yes(segment.floor_held),
                    number(floors[name].held, PERCENT),
                    number(floors[name].met, PERCENT),
                    number(during, "{:.1f}"),
                )
            )
    return Table(
        name="drifts",
        title="The controller through each drift",
        note=(
            "Regret is against the best fixed threshold of the phase in hindsight. Recovery counts "
            "questions from the change until 50 in a row, over all seeds, cost at most 10% more than "
            "that, with the floor not certainly violated. Windows are of 200 questions: held unless the "
            f"interval lies below the floor. Marked: more than {RECOVERED_BY} questions."
        ),
        columns=(
            *("script", "phase", "edge share", "accuracy kept", "cost", "optimum", "regret", "recovery"),
            *("floor held", "windows held", "windows met", "alarms"),
        ),
        rows=tuple(rows),
        marked=tuple(marked),
    )


def rivals_drift_table(findings: Findings) -> Table:
    """Regret and accuracy of some policies over all phases after the first."""
    rows = []
    for policy in dict.fromkeys(key[0] for _, key in findings.courses):
        found = segments_of(findings, policy)
        rows.append(
            (
                text(policy),
                *(number(float(np.mean([s.regret for s in found[name][1:]])), SIGNED) for name in found),
                number(float(np.mean([s.floor_held for part in found.values() for s in part[1:]])), "{:.0%}"),
            )
        )
    return Table(
        name="drift-rivals",
        title="Regret after each drift, and how often the floor was held",
        note=(
            "Mean over the phases after the first, of each policy at its default setting. A policy may "
            "undercut the optimum by not holding the floor: the last column is the share of phases in "
            "which it did hold."
        ),
        columns=("policy", *findings.plan.scripts, "floor held"),
        rows=tuple(rows),
        marked=(0,),
    )


def _count(value: int) -> Cell:
    return Cell(value, str(value))
