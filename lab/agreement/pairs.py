"""Pairs of answers to one question, of which it is known whether they say the same."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.agreement.task import Task, task_of
from agent.forms.form import AnswerForm
from agent.forms.infer import infer
from lab.errors import BenchError

COLUMNS = ("source", "question", "answer_a", "answer_b", "same")


class PairsError(BenchError):
    """A file of pairs that cannot be read; the message names the line."""

    code = "pairs"


AUTO: Final = AnswerForm()


@dataclass(frozen=True)
class Pair:
    """Two answers to one question.

    Attributes:
        same: whether they say the same; None if it is not known.
        source: where they come from.
    """

    question: str
    a: str
    b: str
    same: bool | None
    source: str = ""
    form: AnswerForm = AUTO

    @property
    def resolved(self) -> AnswerForm:
        """The form, inferred from the question if it is `auto`."""
        return infer(self.question) if self.form.kind == "auto" else self.form

    @property
    def task(self) -> Task:
        """What is compared."""
        return task_of(self.question, self.resolved)


def read(path: Path) -> list[Pair]:
    """Reads a CSV file with the columns source, question, answer_a, answer_b and same (1, 0 or blank).

    Raises:
        PairsError: a column is missing or a value is invalid.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise PairsError(f"{path} has no column {missing[0]}: it needs {', '.join(COLUMNS)}")
        return [_pair(path, rows.line_num, row) for row in rows]


def _pair(path: Path, line: int, row: dict[str, str | None]) -> Pair:
    question, a, b, same = (row[name] for name in COLUMNS[1:])
    if question is None or a is None or b is None or same not in ("0", "1", ""):
        raise PairsError(f"{path}, line {line}: every row needs {', '.join(COLUMNS)}; same is 1, 0 or blank")
    return Pair(question, a, b, None if not same else same == "1", row["source"] or "")
