"""A set of questions about images, as a CSV file beside them.

The columns `image` (a path, from the CSV's own folder), `question` and `answer` must be there; several right
answers are separated by "|". Optional are `type` (the form of the question when left out: yes_no, how_many,
what, ...), `group` (the image when left out) and `id` (the line's number when left out).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.signals import text_signals
from lab.errors import QuestionsError

NEEDED = ("image", "question", "answer")


@dataclass(frozen=True)
class PosedQuestion:
    """A question about the image in a file, with its right answer."""

    id: str
    group: str
    type: str
    question: str
    truth: str
    image: Path


@dataclass(frozen=True)
class QuestionSet:
    """Questions in their order; `digest` changes when any of them does, or the size of an image."""

    questions: tuple[PosedQuestion, ...]
    digest: str

    @classmethod
    def from_csv(cls, path: Path) -> QuestionSet:
        """Read `path`, or the questions.csv in it when it is a folder. Raises QuestionsError."""
        path = path / "questions.csv" if path.is_dir() else path
        try:
            content = path.read_bytes()
            rows = csv.DictReader(content.decode("utf-8-sig").splitlines(keepends=True))
            missing = [column for column in NEEDED if column not in (rows.fieldnames or ())]
            if missing:
                raise QuestionsError(
                    f"{path} lacks the columns {', '.join(missing)}; its first line names them"
                )
            questions = tuple(_posed(path, rows.line_num, row) for row in rows)
        except OSError as error:
            raise QuestionsError(f"cannot read {path}: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise QuestionsError(f"{path} is no CSV in UTF-8: {error}") from error
        if not questions:
            raise QuestionsError(f"{path} holds no questions")
        if len({question.id for question in questions}) < len(questions):
            raise QuestionsError(
                f"{path}: two questions have the same id; leave the column out to number them"
            )
        sizes = " ".join(str(question.image.stat().st_size) for question in questions)
        return cls(questions, hashlib.sha256(content + sizes.encode()).hexdigest())

    def first(self, count: int | None) -> QuestionSet:
        """The first `count` of them, all for None."""
        return self if count is None else QuestionSet(self.questions[:count], self.digest)


def _posed(path: Path, line: int, row: Mapping[str, str | None]) -> PosedQuestion:
    cells = {column: (cell or "").strip() for column, cell in row.items() if isinstance(column, str)}
    for column in NEEDED:
        if not cells[column]:
            raise QuestionsError(f"{path}, line {line}: {column} is empty")
    image = path.parent / cells["image"]
    if not image.is_file():
        raise QuestionsError(f"{path}, line {line}: there is no image {image}")
    return PosedQuestion(
        id=cells.get("id") or str(line),
        group=cells.get("group") or cells["image"],
        type=cells.get("type") or text_signals(cells["question"]).kind,
        question=cells["question"],
        truth=cells["answer"],
        image=image,
    )
