"""A table, as HTML and as CSV."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PERCENT: Final = "{:.1%}"
SIGNED: Final = "{:+.1%}"


@dataclass(frozen=True)
class Cell:
    """A figure with its 95% interval, both as they are and as they are shown."""

    value: float | int | str | bool | None
    shown: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """Named columns of cells.

    Attributes:
        name: of its CSV file.
        note: what the figures are, shown above it.
        marked: rows that are set off.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[int, ...] = ()

    def html(self) -> str:
        """A titled HTML table."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(
            f"<tr{' class=marked' if place in self.marked else ''}>"
            + "".join(f"<td>{html.escape(cell.shown)}</td>" for cell in row)
            + "</tr>"
            for place, row in enumerate(self.rows)
        )
        title, note = html.escape(self.title), html.escape(self.note)
        return (
            f"<h2>{title}</h2><p>{note}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def csv(self) -> str:
        """The figures themselves; a column with intervals has its ends in two more."""
        spans = [any(row[place].low is not None for row in self.rows) for place in range(len(self.columns))]
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(
            name
            for column, spanned in zip(self.columns, spans, strict=True)
            for name in ((column, f"{column} low", f"{column} high") if spanned else (column,))
        )
        for row in self.rows:
            rows.writerow(
                value
                for cell, spanned in zip(row, spans, strict=True)
                for value in ((cell.value, cell.low, cell.high) if spanned else (cell.value,))
            )
        return out.getvalue()


def text(value: str) -> Cell:
    """Words."""
    return Cell(value, value)


def number(value: float, form: str, ends: Sequence[float] | None = None) -> Cell:
    """A figure, with its interval when one is given; a dash where it is not a number."""
    if math.isnan(value):
        return Cell(None, "-")
    if ends is None:
        return Cell(value, form.format(value))
    low, high = ends
    return Cell(value, f"{form.format(value)} [{form.format(low)}, {form.format(high)}]", low, high)


def yes(value: bool) -> Cell:
    """Reached, or not."""
    return Cell(value, "yes" if value else "no")
