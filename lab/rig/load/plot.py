"""The plot of a soak."""

from __future__ import annotations

import csv
from pathlib import Path

PANELS = (
    ("rss_mb", "resident MiB"),
    ("fds", "file descriptors"),
    ("threads", "threads"),
    ("answered", "answered"),
)


def plot_soak(file: Path, out: Path) -> None:
    """Plots a soak's CSV, one panel for each quantity over the minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with file.open(newline="") as source:
        rows = list(csv.DictReader(source))
    minutes = [float(row["elapsed_s"]) / 60 for row in rows]
    figure, panels = pyplot.subplots(len(PANELS), sharex=True, figsize=(8, 8), layout="constrained")
    for panel, (column, label) in zip(panels, PANELS, strict=True):
        panel.plot(minutes, [float(row[column]) for row in rows], linewidth=1)
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("minutes")
    figure.savefig(out, dpi=110)
    pyplot.close(figure)
