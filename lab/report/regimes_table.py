"""The table of other cost profiles."""

from __future__ import annotations

from lab.replay.bootstrap import Resampler, Totals, interval
from lab.report.findings import Findings
from lab.report.plan import REGIME_POLICIES
from lab.report.table import PERCENT, SIGNED, Table, number, text


def regimes_table(findings: Findings) -> Table:
    """Returns the figures of several policies under other cost profiles."""
    rows = []
    resampler = Resampler(*next(iter(findings.regimes.values())).shape[:2])
    for profile in findings.plan.regimes:
        totals = {
            policy: (
                resampler.sample(findings.regimes[profile, policy]),
                resampler.resamples(findings.regimes[profile, policy]),
            )
            for policy in REGIME_POLICIES
        }
        better = better_static(totals["always-edge"][0], totals["always-cloud"][0], findings.plan.floor)
        for policy, (sample, drawn) in totals.items():
            base, base_drawn = totals[better]
            more = drawn.mean("cost") / base_drawn.mean("cost") - 1
            rows.append(
                (
                    text(profile),
                    text(policy),
                    number(float(sample.mean("on_board")), "{:.0%}"),
                    number(float(sample.mean("correct")), PERCENT),
                    number(float(sample.mean("latency_ms")), "{:.0f}"),
                    number(float(sample.mean("device_j")), "{:.2f}"),
                    number(float(sample.mean("cost")), "{:.3f}"),
                    text(better),
                    number(float(sample.mean("cost") / base.mean("cost")) - 1, SIGNED, interval(more)),
                )
            )
    return Table(
        name="regimes",
        title="Fast LAN, slow WAN, offline",
        note=(
            "The same policies under other cost profiles (simulated). The better static choice is the "
            "cheaper one of always-edge and always-cloud, among those that keep the floor's share of the "
            "better accuracy."
        ),
        columns=(
            *("profile", "policy", "edge share", "accuracy", "latency ms", "board J", "cost"),
            *("better static choice", "cost above it"),
        ),
        rows=tuple(rows),
        marked=tuple(place for place, row in enumerate(rows) if row[1].value == "inarvl"),
    )


def better_static(edge: Totals, cloud: Totals, floor: float) -> str:
    """Returns the cheaper of the two policies, among those that are accurate enough."""
    accuracy = {"always-edge": float(edge.mean("correct")), "always-cloud": float(cloud.mean("correct"))}
    cost = {"always-edge": float(edge.mean("cost")), "always-cloud": float(cloud.mean("cost"))}
    enough = [name for name in accuracy if accuracy[name] >= floor * max(accuracy.values())]
    return min(enough, key=lambda name: cost[name])
