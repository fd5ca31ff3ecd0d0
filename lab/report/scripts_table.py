"""The table of all drift scripts: what is kept and lost, what is noticed, and cost at equal accuracy."""

from __future__ import annotations

import math

from lab.replay.comparison import ALWAYS
from lab.replay.hindsight import fixed_cost, switching_cost
from lab.replay.script_figures import BACK_WINDOW, SETTLED, ScriptFigures, script_figures
from lab.report.findings import Findings
from lab.report.plan import YARDSTICK, Key
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text
from lab.sim.drift_scripts import STEADY, script_named


def scripts_table(findings: Findings) -> Table:
    """Returns the figures of the controller and of the offline yardstick on every script."""
    plan = findings.plan
    rows = []
    for script in (STEADY.name, *plan.scripts):
        for key in (plan.ours, (YARDSTICK, plan.floor)):
            if (script, key) in findings.drifts:
                rows.append(_row(findings, script, key))
    return Table(
        name="scripts",
        title="Every drift script",
        note=(
            f"Against fixed and against switching: cost above the best mixture in hindsight of {YARDSTICK} "
            "at all floors, always-edge and always-cloud at the same accuracy, the same in all phases, or "
            "another in each phase. Lost: right answers that the reference would have given more than the "
            "policy, from the change on. Allowed: those that the floor permits. Alarm and back: questions "
            f"from the change, until the first alarm about answers and until {BACK_WINDOW} consecutive ones, "
            "over all seeds, meet the floor. Covered and bias: of the published interval and estimate of "
            "what is kept. New: the share of a new model among the cloud's answers, from "
            f"{SETTLED} questions after it appears."
        ),
        columns=(
            *("script", "policy", "accuracy kept", "above the floor", "cost", "against fixed"),
            *("against switching", "lost", "allowed", "alarm", "alarmed", "alarms", "back"),
            *("windows held", "windows met", "covered", "bias", "new"),
        ),
        rows=tuple(rows),
        marked=tuple(place for place, row in enumerate(rows) if row[1].value == plan.ours[0]),
    )


def _row(findings: Findings, script: str, key: Key) -> tuple[Cell, ...]:
    replays = findings.drifts[script, key]
    figures = script_figures(replays, script_named(script), findings.plan.floor)
    fixed, switching = (
        (extra_costs(findings, script, figures)) if key == findings.plan.ours else (math.nan,) * 2
    )
    return (
        text(script),
        text(key[0]),
        number(figures.kept, PERCENT),
        number(figures.above_floor, SIGNED),
        number(figures.cost, "{:.3f}"),
        number(fixed, SIGNED),
        number(switching, SIGNED),
        number(figures.lost, "{:.0f}"),
        number(figures.allowed, "{:.0f}"),
        number(figures.alarm, "{:.0f}"),
        number(figures.alarmed, "{:.0%}"),
        number(figures.alarms, "{:.1f}"),
        number(figures.back, "{:.0f}"),
        number(figures.held, PERCENT),
        number(figures.met, PERCENT),
        number(figures.coverage, PERCENT),
        number(figures.bias, "{:+.2%}"),
        number(figures.newcomer, "{:.0%}"),
    )


def extra_costs(findings: Findings, script: str, figures: ScriptFigures) -> tuple[float, float]:
    """Returns the cost above the best mixture in hindsight at the same accuracy, fixed and switching."""
    candidates = [
        replays
        for (name, (policy, _)), replays in findings.drifts.items()
        if name == script and policy in (YARDSTICK, *ALWAYS)
    ]
    return (
        figures.cost / fixed_cost(candidates, figures.accuracy) - 1,
        figures.cost / switching_cost(candidates, figures.accuracy) - 1,
    )
