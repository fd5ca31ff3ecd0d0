"""The tables of the steady replays: the lineup, cost at equal accuracy, and the gap recovered."""

from __future__ import annotations

from lab.replay.equal_accuracy import EqualAccuracy, compare_at_equal_accuracy
from lab.replay.gap_recovered import gap_recovered
from lab.replay.lineup import LINEUP, OURS
from lab.replay.summary import Summary
from lab.report.findings import Findings, mean_of
from lab.report.intervals import Intervals
from lab.report.table import PERCENT, SIGNED, Table, number, text, yes


def lineup_table(findings: Findings, intervals: Intervals) -> Table:
    """Returns the figures of every policy at its default knob."""
    plan, cloud = findings.plan, ("always-cloud", 0.0)
    rows = []
    for name in plan.policies:
        entry = LINEUP[name]
        key = (name, plan.default(name))
        rows.append(
            (
                text(name),
                text(f"{key[1]:g}" if len(entry.knobs) > 1 else ""),
                text(entry.learns),
                intervals.cell(key, lambda t: t.mean("on_board"), "{:.0%}"),
                intervals.cell(key, lambda t: t.kept, PERCENT),
                intervals.relative(key, cloud, "latency_ms"),
                intervals.relative(key, cloud, "device_j"),
                intervals.relative(key, cloud, "cloud_j"),
                number(findings.mean(key, "p50_ms"), "{:.0f}"),
                number(findings.mean(key, "p95_ms"), "{:.0f}"),
                number(findings.mean(key, "p99_ms"), "{:.0f}"),
                intervals.cell(key, lambda t: t.mean("cost"), "{:.3f}"),
                number(findings.mean(key, "escalated"), PERCENT),
                number(findings.mean(key, "audited"), PERCENT),
                number(findings.mean(key, "pgr"), "{:.2f}"),
                number(findings.mean(key, "route_auroc"), "{:.3f}"),
                number(findings.mean(key, "answer_auroc"), "{:.3f}"),
            )
        )
    return Table(
        name="lineup",
        title="Every policy at its default knob",
        note=(
            "Latency and energy are relative to always-cloud. Figures include audits, probes and escalations."
        ),
        columns=(
            *("policy", "knob", "learns", "edge share", "accuracy kept", "latency", "board energy"),
            *("cloud energy", "p50 ms", "p95 ms", "p99 ms", "cost", "escalated", "audited", "PGR"),
            *("route AUROC", "answer AUROC"),
        ),
        rows=tuple(rows),
        marked=(0,),
    )


def equal_accuracies(findings: Findings, intervals: Intervals) -> list[EqualAccuracy]:
    """Compares every rival with the controller, at the accuracy that the controller keeps."""
    plan = findings.plan
    cloud = findings.sums["always-cloud", 0.0]
    return [
        compare_at_equal_accuracy(
            name,
            findings.sums[plan.ours],
            [findings.sums[name, knob] for knob in plan.knobs(name)],
            cloud,
            intervals.resampler,
        )
        for name in plan.policies
        if name not in (*OURS, "always-edge") and LINEUP[name].learns != "hindsight"
    ]


def equal_accuracy_table(comparisons: list[EqualAccuracy]) -> Table:
    """Returns the costs of the rivals at equal accuracy."""
    ordered = sorted(comparisons, key=lambda comparison: comparison.extra)
    return Table(
        name="equal-accuracy",
        title="Cost at the accuracy that the controller keeps",
        note=(
            "Each rival at the mixture of its knob settings and always-cloud that costs least at that "
            "accuracy, chosen in hindsight. Above 0%: the controller is cheaper."
        ),
        columns=("rival", "cost", "more than the controller", "beaten"),
        rows=tuple(
            (
                text(comparison.rival),
                number(comparison.cost, "{:.3f}"),
                number(comparison.extra, SIGNED, (comparison.low, comparison.high)),
                yes(comparison.beaten),
            )
            for comparison in ordered
        ),
    )


def gap_recovered_table(findings: Findings) -> Table:
    """Returns how much of the accuracy gap each policy recovers, by calls."""
    rows = []
    for name in findings.plan.policies:
        if len(LINEUP[name].knobs) == 1:
            continue
        means = [_mean(findings.summaries[name, knob]) for knob in findings.plan.knobs(name)]
        curve = gap_recovered(means)
        rows.append(
            (
                text(name),
                number(curve.apgr, "{:.3f}"),
                number(curve.cpt50, PERCENT),
                number(curve.cpt80, PERCENT),
            )
        )
    return Table(
        name="gap-recovered",
        title="Performance gap recovered over calls to the cloud",
        note=(
            "APGR is the mean gap recovered over all shares of calls. CPT is the share of calls that "
            "recovers that much of the gap. Calls are not cost: a policy may make many calls to a cheap "
            "cloud model."
        ),
        columns=("policy", "APGR", "CPT(50%)", "CPT(80%)"),
        rows=tuple(rows),
        marked=(0,),
    )


def _mean(summaries: list[Summary]) -> Summary:
    rows = [summary.row() for summary in summaries]
    means = {name: mean_of([float(str(row[name])) for row in rows]) for name in rows[0] if name != "policy"}
    return Summary(policy=summaries[0].policy, **means)
