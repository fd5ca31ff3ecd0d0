"""docs/metrics.md: every Prometheus metric, from the code that makes them.

A metric is found in the source as its name followed by its help: in the call of a class, or in a table.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "inarvl_"
PROGRAMS = {
    "agent": (
        "The agent",
        "Served where the site file says (`metrics`), and in the field `metrics` of\n"
        "[telemetry](topics.md#telemetry). A metric that no sensor reports is missing. Each has at most 32\n"
        "values of its labels, since drivers and the network name them.",
    ),
    "vlm": ("A model server", "Served at `GET /metrics`."),
    "cloud": ("A cloud peer", "Served in addition, by a peer on Ray Serve."),
}
HEAD = """# Metrics

Metrics for Prometheus, in base units.

Written by `python -m lab.documents`.
"""


@dataclass(frozen=True, order=True)
class Metric:
    """A metric, as Prometheus names it."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


def page() -> str:
    """Returns the page."""
    text = HEAD
    for package, (title, where) in PROGRAMS.items():
        found = sorted(
            {metric for file in (ROOT / package).rglob("*.py") for metric in metrics(file.read_text())}
        )
        if found:
            text += f"\n## {title}\n\n{where}\n\n| metric | labels | meaning |\n|---|---|---|\n"
            text += "".join(f"| `{one.name}` | {', '.join(one.labels)} | {one.help} |\n" for one in found)
    return text


def metrics(source: str) -> Iterator[Metric]:
    """Returns the metrics that a source file makes.

    >>> list(metrics('Counter("inarvl_calls", "Calls.", labels=["peer"])'))
    [Metric(name='inarvl_calls_total', help='Calls.', labels=('peer',))]
    """
    tree = ast.parse(source)
    labels_of_table = dict(_labels_of_tables(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _made(ast.unparse(node.func), _arguments(node))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            labels = labels_of_table.get(ast.unparse(node.targets[0]), ())
            for row in node.value.elts:
                if isinstance(row, ast.Tuple):
                    yield from (replace(one, labels=labels) for one in _made("", row.elts))


def _made(kind: str, values: Sequence[ast.expr]) -> Iterator[Metric]:
    texts = [value.value if isinstance(value, ast.Constant) else None for value in values[:2]]
    match texts:
        case [str(name), str(text)] if name.startswith(PREFIX):
            yield Metric(f"{name}_total" if "Counter" in kind else name, text, _labels(values))


def _labels_of_tables(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Returns the labels with which a loop makes the metrics of each table."""
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For):
            calls = (node for node in ast.walk(loop) if isinstance(node, ast.Call))
            found = next((labels for call in calls if (labels := _labels(_arguments(call)))), ())
            yield ast.unparse(loop.iter), found


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "labels")]


def _labels(values: Sequence[ast.expr]) -> tuple[str, ...]:
    lists = [value for value in values if isinstance(value, ast.List)]
    names = [one.value for one in lists[0].elts if isinstance(one, ast.Constant)] if lists else []
    return tuple(name for name in names if isinstance(name, str))
