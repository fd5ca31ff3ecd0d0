"""The table of the controller at each floor, with the cost of the offline yardsticks at the same accuracy."""

from __future__ import annotations

from lab.replay.equal_accuracy import compare_at_equal_accuracy
from lab.report.findings import Findings
from lab.report.intervals import Intervals
from lab.report.table import PERCENT, SIGNED, Cell, Table, number

OFFLINE = ("two-stage", "two-stage-boosted")


def floors_table(findings: Findings, intervals: Intervals) -> Table:
    """Returns what is kept at each floor, and the cost against each offline yardstick at that accuracy."""
    plan = findings.plan
    rivals = [policy for policy in OFFLINE if policy in plan.policies]
    rows: list[tuple[Cell, ...]] = []
    for floor in sorted(plan.knobs("inarvl")):
        key = ("inarvl", floor)
        kept = intervals.cell(key, lambda totals: totals.kept, PERCENT)
        above = intervals.cell(key, lambda totals, floor=floor: totals.kept - floor, "{:+.2%}")  # type: ignore[misc]
        cells = []
        for rival in rivals:
            comparison = compare_at_equal_accuracy(
                rival,
                findings.sums[key],
                [findings.sums[rival, knob] for knob in plan.knobs(rival)],
                findings.sums["always-cloud", 0.0],
                intervals.resampler,
            )
            ends = sorted((1 / (1 + comparison.low) - 1, 1 / (1 + comparison.high) - 1))
            cells.append(number(1 / (1 + comparison.extra) - 1, SIGNED, ends))
        rows.append(
            (number(floor, "{:.1%}"), kept, above, number(findings.mean(key, "cost"), "{:.3f}"), *cells)
        )
    return Table(
        name="floors",
        title="The controller at each floor",
        note=(
            "The last columns show the controller's cost relative to a policy that was fitted offline to the "
            "right answers, at the accuracy that the controller keeps: below 0% the controller is cheaper."
        ),
        columns=(
            "floor",
            "accuracy kept",
            "above the floor",
            "cost",
            *(f"against {rival}" for rival in rivals),
        ),
        rows=tuple(rows),
    )
