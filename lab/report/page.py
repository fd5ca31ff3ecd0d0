"""Writes a report: one self-contained HTML page, and one CSV file per table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.report.plots import Plot
from lab.report.table import Table

STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; display: block;
        overflow-x: auto; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
tr.marked td { background: #fff4d6; }
h2 { margin-top: 2.2rem; } p { max-width: 60rem; } svg { max-width: 100%; height: auto; }
.facts { color: #444; font-size: 14px; }
"""


def write_report(
    folder: Path, title: str, facts: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot]
) -> Path:
    """Writes `report.html` and the tables' CSV files into a folder and returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        (folder / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_page(title, facts, tables, plots), encoding="utf-8")
    return page


def _page(title: str, facts: Sequence[str], tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    listed = "".join(f"<li>{html.escape(fact)}</li>" for fact in facts)
    body = "".join(table.html() for table in tables)
    pictures = "".join(
        f"<h2>{html.escape(plot.title)}</h2><p>{html.escape(plot.note)}</p>{plot.svg}" for plot in plots
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f'<ul class="facts">{listed}</ul>{body}{pictures}</body></html>\n'
    )
