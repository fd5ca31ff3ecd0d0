"""The table of routing between two models on real outcomes."""

from __future__ import annotations

import numpy as np

from lab.outcomes.outcome_curve import SHARE, OutcomeCurve
from lab.report.table import Table, number, text


def outcomes_table(curve: OutcomeCurve) -> Table:
    """Returns the curve, and its gain over random routing at SHARE."""
    gains = "; ".join(
        f"with feedback for {share:.0%} of the answers {100 * np.mean(gain):+.1f} points (seeds from "
        f"{100 * min(gain):+.1f} to {100 * max(gain):+.1f})"
        for share, gain in curve.gains.items()
    )
    return Table(
        name="outcomes",
        title="Real outcomes of two models",
        note=(
            f"Gain in accuracy over random routing at {SHARE:.0%} strong calls: {gains}. The controller "
            f"learns online, without priors, training or confidences; only calls have a cost, audits "
            f"included. If it never recognised an image, feedback for every answer would give "
            f"{100 * np.mean(curve.unfamiliar):+.1f}. The two-stage policy, fitted offline to the other "
            f"half, gains {100 * np.mean(curve.offline):+.1f}. The outcomes are real."
        ),
        columns=("feedback", "floor", "strong calls", "accuracy", "random routing", "gain"),
        rows=tuple(
            (
                text(f"{point.feedback_share:.0%}"),
                number(point.floor, "{:.2f}"),
                number(point.calls, "{:.1%}"),
                number(point.accuracy, "{:.1%}"),
                number(point.random_accuracy, "{:.1%}"),
                number(point.accuracy - point.random_accuracy, "{:+.1%}"),
            )
            for point in curve.points
        ),
    )
