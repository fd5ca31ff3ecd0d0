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
    """A value with its 95% interval, and its text on the page."""

    value: float | int | str | bool | None
    shown: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """Named columns of cells.

    Attributes:
        name: of the CSV file.
        note: explains the figures; shown above the table.
        columns: their names in the CSV file.
        marked: numbers of the rows that are highlighted.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[int, ...] = ()

    def html(self) -> str:
        """Returns the table as HTML, with its title and note."""
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
        """Returns the values as CSV; a column with intervals is followed by two columns, low and high."""
        has_interval = [
            any(row[place].low is not None for row in self.rows) for place in range(len(self.columns))
        ]
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(
            name
            for column, interval in zip(self.columns, has_interval, strict=True)
            for name in ((column, f"{column} low", f"{column} high") if interval else (column,))
        )
        for row in self.rows:
            rows.writerow(
                value
                for cell, interval in zip(row, has_interval, strict=True)
                for value in ((cell.value, cell.low, cell.high) if interval else (cell.value,))
            )
        return out.getvalue()


def text(value: str) -> Cell:
    """Returns a cell with a text."""
    return Cell(value, value)


def number(value: float, form: str, ends: Sequence[float] | None = None) -> Cell:
    """Returns a cell with a number and its interval, if given; a dash for NaN."""
    if math.isnan(value):
        return Cell(None, "-")
    if ends is None:
        return Cell(value, form.format(value))
    low, high = ends
    return Cell(value, f"{form.format(value)} [{form.format(low)}, {form.format(high)}]", low, high)


def yes(value: bool) -> Cell:
    """Returns a cell with yes or no."""
    return Cell(value, "yes" if value else "no")
