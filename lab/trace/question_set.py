"""A set of questions about images, in a CSV file.

The columns `image` (a path relative to the CSV's folder), `question` and `answer` are required; several right
answers are separated by "|". Optional columns are `type` (default: the form of the question, such as yes_no
or how_many), `group` (default: the image) and `id` (default: the line number).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller import text_signals
from lab.errors import QuestionsError

REQUIRED = ("image", "question", "answer")


@dataclass(frozen=True)
class ImageQuestion:
    """A question about an image file, with its right answer."""

    id: str
    group: str
    type: str
    question: str
    truth: str
    image: Path


@dataclass(frozen=True)
class QuestionSet:
    """Questions in order; `digest` changes with any question or with the size of an image."""

    questions: tuple[ImageQuestion, ...]
    digest: str

    @classmethod
    def from_csv(cls, path: Path) -> QuestionSet:
        """Reads the file `path`, or questions.csv in the folder `path`. Raises QuestionsError."""
        path = path / "questions.csv" if path.is_dir() else path
        try:
            content = path.read_bytes()
            rows = csv.DictReader(content.decode("utf-8-sig").splitlines(keepends=True))
            missing = [column for column in REQUIRED if column not in (rows.fieldnames or ())]
            if missing:
                raise QuestionsError(
                    f"{path} lacks the columns {', '.join(missing)}; name them in its first line"
                )
            questions = tuple(_image_question(path, rows.line_num, row) for row in rows)
        except OSError as error:
            raise QuestionsError(f"cannot read {path}: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise QuestionsError(f"{path} is not a CSV file in UTF-8: {error}") from error
        if not questions:
            raise QuestionsError(f"{path} contains no questions")
        if len({question.id for question in questions}) < len(questions):
            raise QuestionsError(f"{path}: two questions have the same id; omit the column to number them")
        sizes = " ".join(str(question.image.stat().st_size) for question in questions)
        return cls(questions, hashlib.sha256(content + sizes.encode()).hexdigest())

    def first(self, count: int | None) -> QuestionSet:
        """Returns the first `count` questions; all for None."""
        return self if count is None else QuestionSet(self.questions[:count], self.digest)


def _image_question(path: Path, line: int, row: Mapping[str, str | None]) -> ImageQuestion:
    cells = {column: (cell or "").strip() for column, cell in row.items() if isinstance(column, str)}
    for column in REQUIRED:
        if not cells[column]:
            raise QuestionsError(f"{path}, line {line}: {column} is empty")
    image = path.parent / cells["image"]
    if not image.is_file():
        raise QuestionsError(f"{path}, line {line}: image {image} not found")
    return ImageQuestion(
        id=cells.get("id") or str(line),
        group=cells.get("group") or cells["image"],
        type=cells.get("type") or text_signals(cells["question"]).kind,
        question=cells["question"],
        truth=cells["answer"],
        image=image,
    )
