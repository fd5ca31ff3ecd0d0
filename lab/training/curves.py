"""The plot of learning curves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

PANELS = {"answer": "loss of answers (nats per token)", "exact": "accuracy of answer tokens"}
WINDOW = 5  # rows to average: batches differ in resolution and in types of question


def draw_curves(files: Mapping[str, Path], into: Path) -> None:
    """Plots the `curve.csv` of each model.

    Args:
        files: The CSV by the name of the model.
        into: The plot; its extension sets the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for name, file in files.items():
        with file.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["answer"]]
        steps = [int(row["step"]) for row in rows]
        for panel, column in zip(panels, PANELS, strict=True):
            values = [float(row[column]) for row in rows]
            means = [
                sum(values[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW) for i in range(len(values))
            ]
            panel.plot(steps, means, label=name)
    for panel, title in zip(panels, PANELS.values(), strict=True):
        panel.set_title(title)
        panel.set_xlabel("steps")
        panel.grid(alpha=0.3)
    panels[0].legend()
    into.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(into, metadata={"Date": None})
