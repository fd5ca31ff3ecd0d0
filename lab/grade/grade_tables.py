"""Formats grades as Markdown for a model card, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from lab.grade.complementarity import Complementarity
from lab.grade.grading import ALL, Cost, Grade, Grades

SCORES = ("margin", "mean_logprob", "length", "confidence", "signals")


def markdown(grades: Grades, pairs: Sequence[Complementarity]) -> str:
    """Returns tables of accuracy, confidence and cost, and the complementarity of each tier's models."""
    parts = [_accuracy(grades), _confidence(grades), _by_type(grades), _cost(grades)]
    return "\n".join([*parts, *(_complementarity(pair) for pair in pairs)])


def table(grades: Grades) -> str:
    """Returns one CSV line per arm and type; each line also contains the arm's cost."""
    costs = [field.name for field in fields(Cost) if field.name != "arm"]
    text = io.StringIO()
    rows = csv.DictWriter(text, [*(field.name for field in fields(Grade)), *costs], lineterminator="\n")
    rows.writeheader()
    for grade in grades.grades.values():
        row = {**asdict(grades.costs[grade.arm]), **asdict(grade)}
        rows.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _accuracy(grades: Grades) -> str:
    arms = [arm.skill for arm in grades.arms]
    rows = []
    for name in grades.types:
        by_arm = [grades.grades[arm, name] for arm in arms]
        count = max(grade.count for grade in by_arm)
        cells = [_share(grade.accuracy, grade.accuracy_pm) for grade in by_arm]
        rows.append((name, str(count), _share(grades.chance[name]), *cells))
    note = "Chance is the accuracy of the best constant answer. ± is half of a 95% interval over images."
    return _section("Accuracy", note, ("question", "n", "chance", *arms), rows)


def _confidence(grades: Grades) -> str:
    rows = []
    for arm in grades.arms:
        grade = grades.grades[arm.skill, ALL]
        cells = [_ratio(getattr(grade, name)) for name in SCORES]
        cells[-1] = _ratio(grade.signals, grade.signals_pm)
        rows.append((arm.skill, *cells, _ratio(grade.ece, digits=3)))
    note = (
        'AUROC for "the answer is right" of the first token\'s margin, the mean log-probability, the length '
        "(shorter is more confident), the three together, and the three with the signals of image and "
        "question. The last two are calibrated and cross-validated over images. ECE is the expected "
        "calibration error of the last."
    )
    heads = ("arm", "margin", "mean logprob", "length", "confidence", "with signals", "ECE")
    return _section("Confidence", note, heads, rows)


def _by_type(grades: Grades) -> str:
    arms = [arm.skill for arm in grades.arms]
    rows = [
        (name, *(f"{_ratio(grade.margin)}, {_ratio(grade.signals)}" for grade in by_arm))
        for name in grades.types
        for by_arm in [[grades.grades[arm, name] for arm in arms]]
    ]
    note = "AUROC of the margin alone, and of the calibrated confidence with signals."
    return _section("Confidence by type of question", note, ("question", *arms), rows)


def _cost(grades: Grades) -> str:
    rows = []
    for arm in grades.arms:
        cost = grades.costs[arm.skill]
        rows.append(
            (
                arm.skill,
                _number(cost.compute_ms, 1),
                _number(cost.p95_compute_ms, 1),
                _number(cost.latency_ms, 1),
                _number(cost.payload_bytes / 1e3, 1),
                _number(cost.tokens, 1),
                f"{_number(cost.energy_j, 3)} {cost.energy_sources}",
            )
        )
    note = "Medians of the server's time and of the recorded call without a link; means of the other values."
    heads = ("arm", "compute ms", "p95", "call ms", "payload kB", "tokens", "board's energy J")
    return _section("Cost of an answer", note, heads, rows)


def _complementarity(pair: Complementarity) -> str:
    lines = [
        f"### Complementarity: {pair.tier}\n",
        f"Of {pair.count} questions, the best of {', '.join(pair.arms)} answers {_share(pair.best)} "
        f"correctly; at least one of them answers {_share(pair.union)} correctly.\n",
    ]
    for (one, other), (name, by) in pair.lead.items():
        lines.append(f"- {one} is best relative to {other} on {name}: {by * 100:+.1f} points")
    return "\n".join(lines) + "\n"


def _section(title: str, note: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return f"### {title}\n\n{note}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _share(value: float, spread: float = math.nan) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1%}" + ("" if math.isnan(spread) else f" ± {spread * 100:.1f}")


def _ratio(value: float, spread: float = math.nan, digits: int = 2) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}".lstrip("0") + (
        "" if math.isnan(spread) else f" ± {spread:.2f}".replace(" 0.", " .")
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else value
