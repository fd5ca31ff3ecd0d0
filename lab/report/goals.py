"""The table of the figures for which goals were set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.replay.bootstrap import Resampler
from lab.replay.decision_speed import DecisionSpeed
from lab.replay.equal_accuracy import EqualAccuracy
from lab.report.drift_tables import RECOVERED_BY, floors_of, phases_of
from lab.report.findings import Findings
from lab.report.intervals import Intervals
from lab.report.regimes_table import better_static
from lab.report.table import PERCENT, SIGNED, Cell, Table, number, text, yes

Row = tuple[str, str, str, Cell, bool]


def goals_table(
    findings: Findings,
    intervals: Intervals,
    comparisons: Sequence[EqualAccuracy],
    speeds: tuple[DecisionSpeed, DecisionSpeed],
) -> Table:
    """Returns each figure with its goal; `reached` compares the estimate, not its interval, with the goal."""
    rows = [
        *_against_cloud(findings, intervals),
        _against_rivals(comparisons),
        *_through_drift(findings),
        _speed(*speeds),
        _fast_lan(findings),
    ]
    return Table(
        name="goals",
        title="Figures and goals",
        note=(
            "Measured on the reported half. Policies that are fitted offline, and the controller, know the "
            "tuning half. Audits, probes and overheads are included; costs are simulated. INAR-VL's figures "
            "are from its paper (arXiv 2605.18853), for other models, questions and hardware."
        ),
        columns=("figure", "INAR-VL", "goal", "found", "reached"),
        rows=tuple(
            (text(name), text(theirs), text(goal), found, yes(reached))
            for name, theirs, goal, found, reached in rows
        ),
        marked=tuple(place for place, row in enumerate(rows) if not row[4]),
    )


def _against_cloud(findings: Findings, intervals: Intervals) -> list[Row]:
    ours, cloud, oracle = findings.plan.ours, ("always-cloud", 0.0), ("oracle", 0.0)
    kept = intervals.cell(ours, lambda t: t.kept, PERCENT)
    edge = intervals.cell(ours, lambda t: t.mean("on_board"), PERCENT)
    latency = intervals.relative(ours, cloud, "latency_ms")
    energy = intervals.relative(ours, cloud, "device_j")
    above_idle = intervals.relative(ours, cloud, "above_idle_j")
    saved = {name: intervals.saving(ours, cloud, oracle, name) for name in ("latency_ms", "device_j")}
    return [
        ("accuracy kept", "97%", "at least 98%", kept, _value(kept) >= 0.98),
        ("requests answered on the board", "36%", "at least 65%", edge, _value(edge) >= 0.65),
        ("latency relative to always-cloud", "-24%", "-45%", latency, _value(latency) <= -0.45),
        ("board energy relative to always-cloud", "-26%", "-45%", energy, _value(energy) <= -0.45),
        (
            "board energy above idle, relative to always-cloud",
            "",
            "-45%",
            above_idle,
            _value(above_idle) <= -0.45,
        ),
        *(
            (f"share of the oracle's saving of {what}", "", "at least 75%", cell, _value(cell) >= 0.75)
            for what, cell in (("latency", saved["latency_ms"]), ("board energy", saved["device_j"]))
        ),
    ]


def _against_rivals(comparisons: Sequence[EqualAccuracy]) -> Row:
    beaten = sum(comparison.beaten for comparison in comparisons)
    closest = min(comparisons, key=lambda comparison: comparison.low)
    interval = f"[{SIGNED.format(closest.low)}, {SIGNED.format(closest.high)}]"
    shown = (
        f"{beaten} of {len(comparisons)}; closest: {closest.rival} {SIGNED.format(closest.extra)} {interval}"
    )
    return (
        "rivals that cost more at equal accuracy, interval above 0",
        "",
        f"all {len(comparisons)}",
        Cell(beaten, shown),
        beaten == len(comparisons),
    )


def _through_drift(findings: Findings) -> list[Row]:
    changes = [
        (script, figures)
        for script, phases in phases_of(findings, "inarvl").items()
        for figures in phases[1:]
    ]
    late = [
        f"{script} phase {figures.phase + 1}"
        for script, figures in changes
        if figures.recovery is None or figures.recovery > RECOVERED_BY
    ]
    in_time = len(changes) - len(late)
    shown = f"{in_time} of {len(changes)}" + (f"; not: {', '.join(late)}" if late else "")
    floors = floors_of(findings)
    weights = [floor.windows for floor in floors.values()]
    held = float(np.average([floor.held for floor in floors.values()], weights=weights))
    worst = min(floors, key=lambda name: floors[name].held)
    shown_held = f"{PERCENT.format(held)}; least: {worst} {PERCENT.format(floors[worst].held)}"
    return [
        (
            f"changes with recovery within {RECOVERED_BY} questions",
            "untested",
            f"all {len(changes)}",
            Cell(in_time, shown),
            not late,
        ),
        (
            "windows in which the floor was held, all drifts",
            "untested",
            "at least 95% in each",
            Cell(held, shown_held),
            floors[worst].held >= 0.95,
        ),
    ]


def _speed(ours: DecisionSpeed, rival: DecisionSpeed) -> Row:
    ratio = ours.total_us / rival.total_us
    shown = f"{ours.total_us:.0f} us, ParetoBandit {rival.total_us:.0f} us: {ratio:.1f} times"
    return (
        "time to decide and learn, relative to ParetoBandit in the same run",
        "",
        "at most 3 times",
        Cell(ratio, shown),
        ratio <= 3,
    )


def _fast_lan(findings: Findings) -> Row:
    resampler = Resampler(*findings.regimes["fast-lan", "inarvl"].shape[:2], draws=1)
    totals = {
        name: resampler.sample(findings.regimes["fast-lan", name])
        for name in ("inarvl", "always-edge", "always-cloud")
    }
    better = better_static(totals["always-edge"], totals["always-cloud"], findings.plan.floor)
    more = float(totals["inarvl"].mean("cost") / totals[better].mean("cost")) - 1
    return (
        f"fast LAN: cost above the better static choice ({better})",
        "",
        "at most +5%",
        number(more, SIGNED),
        more <= 0.05,
    )


def _value(cell: Cell) -> float:
    return float(cell.value) if isinstance(cell.value, (int, float)) else float("nan")
