"""The table of the controller with parts taken away."""

from __future__ import annotations

from lab.replay.bootstrap import Resampler, interval
from lab.replay.drift_phases import Series, floor_held
from lab.report.findings import ABLATED_DRIFT, Findings
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text


def ablations_table(findings: Findings) -> Table:
    """What each part is worth."""
    plan = findings.plan
    whole = findings.tallies[plan.ours]
    resampler = Resampler(*whole.shape[:2])
    base, base_drawn = resampler.sample(whole), resampler.resamples(whole)
    drifting = findings.courses.get((ABLATED_DRIFT, plan.ours))
    rows = []
    for name, tallies in (
        ("as it is", whole),
        *((name, findings.ablations[name]) for name in plan.ablations),
    ):
        sample, drawn = resampler.sample(tallies), resampler.resamples(tallies)
        course = drifting if name == "as it is" else findings.ablated_courses.get(name)
        rows.append(
            (
                text(name),
                number(float(sample.mean("on_board")), PERCENT),
                number(float(sample.kept), PERCENT, interval(drawn.kept)),
                number(
                    float(sample.mean("cost") / base.mean("cost")) - 1,
                    SIGNED,
                    interval(drawn.mean("cost") / base_drawn.mean("cost") - 1),
                ),
                number(float(sample.mean("escalated")), PERCENT),
                number(float(sample.mean("audited")), PERCENT),
                *_in_drift(course, drifting, plan.floor),
            )
        )
    return Table(
        name="ablations",
        title="The controller with parts taken away",
        note=(
            f"Steady, and in the last three columns through {ABLATED_DRIFT}. Cost is against the "
            f"controller as it is; a part may be worth its cost in accuracy only."
        ),
        columns=(
            *("without", "edge share", "accuracy kept", "cost", "escalated", "audited"),
            *("kept in drift", "cost in drift", "windows held in drift"),
        ),
        rows=tuple(rows),
        marked=(0,),
    )


def _in_drift(course: Series | None, whole: Series | None, floor: float) -> tuple[Cell, Cell, Cell]:
    if course is None or whole is None:
        return text("-"), text("-"), text("-")
    return (
        number(float(course.correct.mean() / course.reference.mean()), PERCENT),
        number(float(course.cost.mean() / whole.cost.mean()) - 1, SIGNED),
        number(floor_held(course, floor).held, PERCENT),
    )
