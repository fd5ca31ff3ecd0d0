"""The tables of the steady replays: figures against goals, the lineup, and equal accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.bootstrap import Resampler, Totals, interval
from lab.replay.equal_accuracy import Match, match
from lab.replay.gap_recovered import curve_of
from lab.replay.lineup import ENTRIES, OURS
from lab.replay.summary import Summary
from lab.report.findings import Findings, Key, mean_of
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text, yes

DRAWS: Final = 1000
Figure = Callable[[Totals], NDArray[np.float64]]


class Intervals:
    """Figures of totals with intervals, all from the same resamples."""

    def __init__(self, findings: Findings) -> None:
        seeds, groups, _ = findings.tallies[findings.plan.ours].shape
        self.resampler = Resampler(seeds, groups, draws=DRAWS)
        self._findings = findings
        self._held: dict[Key, tuple[Totals, Totals]] = {}

    def totals(self, key: Key) -> tuple[Totals, Totals]:
        """Of the sample and of its resamples."""
        if key not in self._held:
            tallies = self._findings.tallies[key]
            self._held[key] = self.resampler.sample(tallies), self.resampler.resamples(tallies)
        return self._held[key]

    def cell(self, key: Key, figure: Figure, form: str) -> Cell:
        """One policy's figure."""
        sample, drawn = self.totals(key)
        return number(float(figure(sample)), form, interval(figure(drawn)))

    def relative(self, key: Key, base: Key, name: str) -> Cell:
        """A measure against another policy's, paired."""
        (own, own_drawn), (other, other_drawn) = self.totals(key), self.totals(base)
        value = float(own.mean(name) / other.mean(name) - 1)
        return number(value, SIGNED, interval(own_drawn.mean(name) / other_drawn.mean(name) - 1))

    def saving(self, key: Key, base: Key, bound: Key, name: str) -> Cell:
        """The share of what a bound saves against a base that a policy saves too, paired."""
        parts = [self.totals(policy) for policy in (key, base, bound)]

        def share(totals: list[Totals]) -> NDArray[np.float64]:
            own, most, least = (t.mean(name) for t in totals)
            return np.asarray((most - own) / (most - least))

        value = share([sample for sample, _ in parts])
        return number(float(value), PERCENT, interval(share([drawn for _, drawn in parts])))


def lineup_table(findings: Findings, intervals: Intervals) -> Table:
    """Every policy at its default knob."""
    plan, cloud = findings.plan, ("always-cloud", 0.0)
    rows = []
    for name in plan.policies:
        entry = ENTRIES[name]
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
        title="Every policy at its default setting",
        note=(
            "Latency and energy are against always-cloud. All of them include audits, probes and escalations."
        ),
        columns=(
            *("policy", "knob", "learns", "edge share", "accuracy kept", "latency", "board energy"),
            *("cloud energy", "p50 ms", "p95 ms", "p99 ms", "cost", "escalated", "audited", "PGR"),
            *("route AUROC", "answer AUROC"),
        ),
        rows=tuple(rows),
        marked=(0,),
    )


def matches_of(findings: Findings, intervals: Intervals) -> list[Match]:
    """Every rival at the accuracy that the controller keeps."""
    plan = findings.plan
    cloud = findings.tallies["always-cloud", 0.0]
    return [
        match(
            name,
            findings.tallies[plan.ours],
            [findings.tallies[name, knob] for knob in plan.knobs(name)],
            cloud,
            intervals.resampler,
        )
        for name in plan.policies
        if name not in (*OURS, "always-edge") and ENTRIES[name].learns != "hindsight"
    ]


def matches_table(matches: list[Match]) -> Table:
    """What rivals cost at equal accuracy."""
    ordered = sorted(matches, key=lambda match: match.more)
    return Table(
        name="equal-accuracy",
        title="Cost at the accuracy that the controller keeps",
        note=(
            "Each rival at the mixture of its settings, and of always-cloud, that costs least at that "
            "accuracy, picked in hindsight. More than 0%: the controller is cheaper."
        ),
        columns=("rival", "cost", "more than the controller", "beaten"),
        rows=tuple(
            (
                text(found.rival),
                number(found.cost, "{:.3f}"),
                number(found.more, SIGNED, (found.low, found.high)),
                yes(found.beaten),
            )
            for found in ordered
        ),
    )


def curves_table(findings: Findings) -> Table:
    """How much of the accuracy gap is closed for how many calls."""
    rows = []
    for name in findings.plan.policies:
        if len(ENTRIES[name].knobs) == 1:
            continue
        means = [_mean(findings.summaries[name, knob]) for knob in findings.plan.knobs(name)]
        curve = curve_of(means)
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
            "APGR is the mean gap recovered over all shares of calls, CPT the share of calls that "
            "recovers so much. A policy that prefers a cheap model of the cloud to the board's spends "
            "calls but not cost."
        ),
        columns=("policy", "APGR", "CPT(50%)", "CPT(80%)"),
        rows=tuple(rows),
        marked=(0,),
    )


def _mean(summaries: list[Summary]) -> Summary:
    rows = [summary.row() for summary in summaries]
    means = {name: mean_of([float(str(row[name])) for row in rows]) for name in rows[0] if name != "policy"}
    return Summary(policy=summaries[0].policy, **means)
