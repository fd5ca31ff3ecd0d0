"""The plots of a report, as SVG."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lab.replay.drift_phases import DriftReplays, phase_optimum
from lab.replay.lineup import LINEUP
from lab.report.findings import Findings
from lab.report.intervals import Intervals
from lab.sim.drift_scripts import DRIFTS

WINDOW = 60  # questions in a moving average


@dataclass(frozen=True)
class Plot:
    """An SVG picture with its title and an explanation."""

    title: str
    note: str
    svg: str


def cost_accuracy_plot(findings: Findings, intervals: Intervals) -> Plot:
    """Plots cost and accuracy of every policy at each of its knob values."""

    def draw(axes: Axes) -> None:
        for place, name in enumerate(findings.plan.policies):
            points = []
            for knob in findings.plan.knobs(name):
                total, _ = intervals.totals((name, knob))
                points.append((float(total.mean("cost")), float(total.kept)))
            points.sort()
            costs, kept = zip(*points, strict=True)
            ours = name == "inarvl"
            axes.plot(
                costs,
                [100 * share for share in kept],
                marker="o" if ours or len(LINEUP[name].knobs) == 1 else ".",
                linewidth=2.5 if ours else 1.0,
                color="black" if ours else mpl.colormaps["tab20"](place % 20),
                zorder=3 if ours else 2,
                label=name,
            )
        axes.axhline(100 * findings.plan.floor, color="grey", linewidth=0.8, linestyle=":")
        axes.set_xlabel("cost per question (weighted latency and board energy; simulated)")
        axes.set_ylabel("accuracy kept, % of the cloud's")
        axes.legend(fontsize=7, ncol=2)

    return Plot(
        "Cost and accuracy",
        "Each line is one policy at all its knob values; higher and further left is better. Dotted: floor.",
        _svg(draw, width=9.0, height=5.5),
    )


def drift_plots(findings: Findings) -> list[Plot]:
    """Plots the controller's edge share, accuracy and cost in each script, with the optimum of each phase."""
    plots = []
    for name in findings.plan.scripts:
        script = DRIFTS[name]
        replays = findings.drifts[name, findings.plan.ours]
        optimum = _best_of_each_phase(findings, name)
        plots.append(
            Plot(
                f"Drift: {name}",
                f"Phases: {', '.join(phase.name for phase in script.phases)}. Moving averages over "
                f"{WINDOW} questions and {len(replays.cost)} seeds. Dashed: the best fixed threshold of "
                f"each phase.",
                _drift_svg(replays, optimum, findings.plan.floor),
            )
        )
    return plots


def _best_of_each_phase(findings: Findings, script: str) -> NDArray[np.float64]:
    candidates = findings.candidates(script)
    phases = next(iter(candidates.values())).phase
    cost = np.empty(len(phases))
    for phase in range(int(phases.max()) + 1):
        where = phases == phase
        best = candidates[phase_optimum(candidates, where, findings.plan.floor)]
        cost[where] = best.cost[:, where].mean(axis=0)
    return cost


def _drift_svg(replays: DriftReplays, optimum: NDArray[np.float64], floor: float) -> str:
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    starts = np.flatnonzero(np.diff(replays.phase)) + 1
    left.plot(_smooth(replays.on_board.mean(axis=0)) * 100, color="black")
    left.set_title("edge share, %", fontsize=9)
    left.set_ylim(0, 100)
    kept = _smooth(replays.correct.mean(axis=0)) / np.maximum(1e-9, _smooth(replays.reference.mean(axis=0)))
    middle.plot(kept * 100, color="black")
    middle.axhline(100 * floor, color="grey", linewidth=0.8, linestyle=":")
    middle.set_title("accuracy kept, %", fontsize=9)
    right.plot(_smooth(replays.cost.mean(axis=0)), color="black")
    right.plot(_smooth(optimum), color="tab:red", linestyle="--")
    right.set_title("cost", fontsize=9)
    for axes in (left, middle, right):
        for start in starts:
            axes.axvline(start, color="tab:blue", linewidth=0.8)
        axes.tick_params(labelsize=7)
    return _written(figure)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    window = min(WINDOW, len(values))
    sums = np.convolve(values, np.ones(window))[: len(values)]
    return sums / np.minimum(np.arange(len(values)) + 1, window)


def _svg(draw: Callable[[Axes], None], *, width: float, height: float) -> str:
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots())
    return _written(figure)


def _written(figure: Figure) -> str:
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "inarvl", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
