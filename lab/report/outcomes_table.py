"""Table: routing between two models on real outcomes."""

from __future__ import annotations

import numpy as np

from lab.outcomes.outcome_curve import SHARE, OutcomeCurve
from lab.report.table import Table, number, text


def outcomes_table(curve: OutcomeCurve) -> Table:
    """The curve, and its gain over a coin at SHARE."""
    gains = "; ".join(
        f"told of {told:.0%}: {100 * np.mean(gain):+.1f} points (seeds from {100 * min(gain):+.1f} "
        f"to {100 * max(gain):+.1f})"
        for told, gain in curve.above.items()
    )
    return Table(
        name="outcomes",
        title="Real outcomes of two models",
        note=(
            f"Accuracy above a coin's at {SHARE:.0%} strong calls: {gains}. Online and from nothing: no "
            f"priors, no training, no confidence; only calls cost, audits included. Were every image met for "
            f"the first time, being told of all would bring {100 * np.mean(curve.unfamiliar):+.1f}. "
            f"Outcomes are real."
        ),
        columns=("told of", "floor", "strong calls", "accuracy", "a coin's", "gain"),
        rows=tuple(
            (
                text(f"{point.told:.0%}"),
                number(point.floor, "{:.2f}"),
                number(point.calls, "{:.1%}"),
                number(point.accuracy, "{:.1%}"),
                number(point.coin, "{:.1%}"),
                number(point.accuracy - point.coin, "{:+.1%}"),
            )
            for point in curve.points
        ),
    )
