"""Formats the figures of judged pairs as Markdown: by task and source, and their reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from agent.agreement.task import TASKS
from lab.agreement.pairs import Pair
from lab.agreement.scoring import Judged, arrays, figures
from lab.probabilities import BINS, Bin, reliability

HEADINGS: Final = (
    "", "pairs", "AUROC", "sure", "error where sure", "equality's error", "ECE", "Brier",
)  # fmt: skip
SHORT, ALL = "**all short forms**", "**all**"
Groups = Mapping[str, Sequence[Judged]]


def agreement_tables(pairs: Sequence[Pair], judged: Sequence[Judged]) -> str:
    """Returns the figures by task, in total and by source, and the reliability by task."""
    tasks = _grouped([pair.task for pair in pairs], judged)
    sources = _grouped([pair.source for pair in pairs], judged)
    totals = {SHORT: [one for task in TASKS if task != "open" for one in tasks.get(task, ())], ALL: judged}
    by_task: Groups = {task: tasks[task] for task in TASKS if task in tasks} | {
        name: total for name, total in totals.items() if total
    }
    by_source = {source.replace("|", "/"): sources[source] for source in sorted(sources)}
    rows = [_figures_row(name, group) for name, group in (*by_task.items(), *by_source.items())]
    return f"{_table(HEADINGS, rows)}\n{RELIABILITY}\n\n{_reliability(by_task)}"


RELIABILITY: Final = (
    "Reliability: of the pairs with a probability in each range, the share that is the same, and how many "
    "they are. The share should be within the range."
)


def _grouped(names: Sequence[str], judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for name, one in zip(names, judged, strict=True):
        groups.setdefault(name, []).append(one)
    return groups


def _figures_row(name: str, judged: Sequence[Judged]) -> list[str]:
    found = figures(judged)
    return [
        name,
        str(found.pairs),
        "" if found.auroc is None else f"{found.auroc:.3f}",
        f"{found.sure:.0%}",
        "" if found.error is None else f"{found.error:.1%}",
        f"{found.equality_error:.0%}",
        f"{found.ece:.3f}",
        f"{found.brier:.3f}",
    ]


def _reliability(groups: Groups) -> str:
    bins = {
        name: {found.low: found for found in reliability(*arrays(group))} for name, group in groups.items()
    }
    rows = []
    for low in (at / BINS for at in range(BINS)):
        cells = [_bin_cell(group.get(low)) for group in bins.values()]
        rows.append([f"{low:.1f} to {low + 1 / BINS:.1f}", *cells])
    return _table(("p", *bins), rows)


def _bin_cell(found: Bin | None) -> str:
    return f"{found.share:.2f} of {found.count}" if found else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(row) for row in (headings, ["---"] + ["---:"] * (len(headings) - 1), *rows)]
    return "".join(f"| {line} |\n" for line in lines)
