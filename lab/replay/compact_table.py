"""The table of a comparison: one line per script and policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from rich.table import Table

from lab.replay.comparison import ComparedPolicy


def _number(value: float, digits: int = 0) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:+.{digits}f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.0%}"


def _alarm(row: ComparedPolicy) -> str:
    figures = row.figures
    if math.isnan(figures.alarmed):
        return "-"
    if not figures.alarmed:
        return "never"
    return f"{figures.alarm:.0f}" + (f" ({figures.alarmed:.0%})" if figures.alarmed < 1 else "")


COLUMNS: Final[tuple[tuple[str, Callable[[ComparedPolicy], str]], ...]] = (
    ("floor", lambda row: f"{row.floor:.3g}"),
    ("kept", lambda row: f"{row.figures.kept:.3f}"),
    ("-floor", lambda row: _signed(100 * row.figures.above_floor, 1)),
    ("right", lambda row: f"{row.figures.accuracy:.3f}"),
    ("cost", lambda row: f"{row.figures.cost:.3f}"),
    ("rivals", lambda row: _percent(row.against_rivals)),
    ("switch", lambda row: _percent(row.against_switching)),
    ("lost/allowed", lambda row: f"{row.figures.lost:.0f}/{row.figures.allowed:.0f}"),
    ("alarm", _alarm),
    ("alarms", lambda row: f"{row.figures.alarms:.1f}"),
    ("back", lambda row: _number(row.figures.back)),
    ("held", lambda row: _number(row.figures.held, 2)),
    ("met", lambda row: _number(row.figures.met, 2)),
    ("covered", lambda row: _number(row.figures.coverage, 2)),
    ("bias", lambda row: _signed(100 * row.figures.bias, 1)),
    ("new", lambda row: _number(row.figures.newcomer, 2)),
)
NOTE: Final = (
    "right: share of right answers. rivals: cost above the best mixture of the other policies in hindsight, "
    "at the same accuracy (above the most accurate one, if none is as accurate). switch: cost above the best "
    "mixture of all fixed policies in hindsight that may differ between phases. lost/allowed: right answers "
    "after the change. alarm, back: questions from the change until the first alarm about answers (share of "
    "seeds with one) and until the floor is met again. held, met: shares of windows of 200. covered, bias: "
    "of the published 95% interval and estimate. new: share of a new model among the cloud's answers, from "
    "500 questions after it appears. -floor and bias are in points."
)


def compact_table(rows: Sequence[ComparedPolicy], title: str) -> Table:
    """Returns the table, with a line between scripts."""
    table = Table("script", "policy", *(heading for heading, _ in COLUMNS), title=title, caption=NOTE)
    table.caption_justify = "left"
    for place, row in enumerate(rows):
        last = place + 1 == len(rows) or rows[place + 1].script != row.script
        table.add_row(row.script, row.policy, *(shown(row) for _, shown in COLUMNS), end_section=last)
    return table
