"""The tables of the replays with drift."""

from __future__ import annotations

from typing import Final

import numpy as np

from lab.replay.drift_phases import FloorWindows, PhaseFigures, floor_windows, phase_figures
from lab.replay.script_figures import outage_phases
from lab.report.findings import Findings
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text, yes
from lab.sim.drift_scripts import DRIFTS

RECOVERED_BY: Final = 150


def phases_of(findings: Findings, policy: str) -> dict[str, list[PhaseFigures]]:
    """Returns the figures of a policy in each phase, by script."""
    plan = findings.plan
    key = plan.ours if policy == "inarvl" else (policy, plan.default(policy))
    return {
        name: phase_figures(
            findings.drifts[name, key],
            findings.candidates(name),
            plan.floor,
            outage_phases=outage_phases(DRIFTS[name]),
        )
        for name in plan.scripts
    }


def floors_of(findings: Findings) -> dict[str, FloorWindows]:
    """Returns in how many windows the controller held its floor, by script."""
    plan = findings.plan
    return {
        name: floor_windows(
            findings.drifts[name, plan.ours], plan.floor, outage_phases=outage_phases(DRIFTS[name])
        )
        for name in plan.scripts
    }


def drift_table(findings: Findings) -> Table:
    """Returns the controller's figures in every phase of every script."""
    rows: list[tuple[Cell, ...]] = []
    marked: list[int] = []
    floors = floors_of(findings)
    for name, phases in phases_of(findings, "inarvl").items():
        alarms = findings.drifts[name, findings.plan.ours].alarms
        phase = findings.drifts[name, findings.plan.ours].phase
        for figures in phases:
            alarms_in_phase = float(alarms[:, phase == figures.phase].sum(axis=1).mean())
            recovery = Cell(None, "never") if figures.recovery is None else _count(figures.recovery)
            if figures.recovery is None or figures.recovery > RECOVERED_BY:
                marked.append(len(rows))
            rows.append(
                (
                    text(name),
                    text(DRIFTS[name].phases[figures.phase].name),
                    number(figures.edge_share, "{:.0%}"),
                    number(figures.kept, PERCENT),
                    number(figures.cost, "{:.3f}"),
                    text(figures.optimum),
                    number(figures.regret, SIGNED),
                    recovery if figures.phase else text("-"),
                    yes(figures.floor_held),
                    number(floors[name].held, PERCENT),
                    number(floors[name].met, PERCENT),
                    number(alarms_in_phase, "{:.1f}"),
                )
            )
    return Table(
        name="drifts",
        title="The controller in each drift",
        note=(
            "Regret is the cost above that of the best fixed threshold of the phase, in hindsight. Recovery "
            "is the number of questions from the change until 50 consecutive questions, over all seeds, cost "
            "at most 10% more than the optimum with the floor not certainly violated. Windows contain 200 "
            "questions; the floor is held in a window unless its interval lies below the floor. Marked: "
            f"recovery takes more than {RECOVERED_BY} questions."
        ),
        columns=(
            *("script", "phase", "edge share", "accuracy kept", "cost", "optimum", "regret", "recovery"),
            *("floor held", "windows held", "windows met", "alarms"),
        ),
        rows=tuple(rows),
        marked=tuple(marked),
    )


def rivals_drift_table(findings: Findings) -> Table:
    """Returns the regret of several policies, over all phases after the first."""
    rows = []
    for policy in dict.fromkeys(key[0] for _, key in findings.drifts):
        by_script = phases_of(findings, policy)
        rows.append(
            (
                text(policy),
                *(
                    number(float(np.mean([f.regret for f in phases[1:]])), SIGNED)
                    for phases in by_script.values()
                ),
                number(
                    float(np.mean([f.floor_held for phases in by_script.values() for f in phases[1:]])),
                    "{:.0%}",
                ),
            )
        )
    return Table(
        name="drift-rivals",
        title="Regret after each change, and how often the floor was held",
        note=(
            "Mean over the phases after the first, for each policy at its default knob. A policy can cost "
            "less than the optimum by violating the floor: the last column is the share of phases in which "
            "it held the floor."
        ),
        columns=("policy", *findings.plan.scripts, "floor held"),
        rows=tuple(rows),
        marked=(0,),
    )


def _count(value: int) -> Cell:
    return Cell(value, str(value))
