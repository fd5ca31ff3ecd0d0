"""The table of the ablations."""

from __future__ import annotations

from lab.replay.bootstrap import Resampler, interval
from lab.replay.drift_phases import DriftReplays, floor_windows
from lab.report.findings import Findings
from lab.report.plan import ABLATION_DRIFT
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text


def ablations_table(findings: Findings) -> Table:
    """Returns the figures of the controller and of its ablations."""
    plan = findings.plan
    whole = findings.sums[plan.ours]
    resampler = Resampler(*whole.shape[:2])
    base, base_drawn = resampler.sample(whole), resampler.resamples(whole)
    whole_drift = findings.drifts.get((ABLATION_DRIFT, plan.ours))
    rows = []
    for name, sums in (
        ("as it is", whole),
        *((name, findings.ablations[name]) for name in plan.ablations),
    ):
        sample, drawn = resampler.sample(sums), resampler.resamples(sums)
        ablated_drift = whole_drift if name == "as it is" else findings.ablated_drifts.get(name)
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
                *_in_drift(ablated_drift, whole_drift, plan.floor),
            )
        )
    return Table(
        name="ablations",
        title="Ablations of the controller",
        note=(
            f"Without drift, and in the last three columns with the drift {ABLATION_DRIFT}. Cost is relative "
            f"to the complete controller. Some parts improve accuracy rather than cost."
        ),
        columns=(
            *("without", "edge share", "accuracy kept", "cost", "escalated", "audited"),
            *("kept in drift", "cost in drift", "windows held in drift"),
        ),
        rows=tuple(rows),
        marked=(0,),
    )


def _in_drift(
    ablated: DriftReplays | None, whole: DriftReplays | None, floor: float
) -> tuple[Cell, Cell, Cell]:
    if ablated is None or whole is None:
        return text("-"), text("-"), text("-")
    return (
        number(float(ablated.correct.mean() / ablated.reference.mean()), PERCENT),
        number(float(ablated.cost.mean() / whole.cost.mean()) - 1, SIGNED),
        number(floor_windows(ablated, floor).held, PERCENT),
    )
