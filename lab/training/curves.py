"""How losses and accuracy went during training, as a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

SHOWN = {"answer": "loss of answers (nats a token)", "exact": "share of answer tokens that are right"}
WINDOW = 5  # lines of a curve to average: batches differ in resolution and in types


def draw_curves(files: Mapping[str, Path], into: Path) -> None:
    """Draw the `curve.csv` of each model, by its name, into one file whose ending says the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, len(SHOWN))
    for name, file in files.items():
        with file.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["answer"]]
        steps = [int(row["step"]) for row in rows]
        for panel, column in zip(panels, SHOWN, strict=True):
            values = [float(row[column]) for row in rows]
            smooth = [
                sum(values[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW) for i in range(len(values))
            ]
            panel.plot(steps, smooth, label=name)
    for panel, title in zip(panels, SHOWN.values(), strict=True):
        panel.set_title(title)
        panel.set_xlabel("steps")
        panel.grid(alpha=0.3)
    panels[0].legend()
    into.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(into, metadata={"Date": None})
