"""Question sets: drawn ones are balanced, and CSV files are validated."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from lab.errors import QuestionsError
from lab.scenes.question import TYPES
from lab.trace.question_set import QuestionSet
from lab.trace.scene_questions import scenes_with_questions, write_questions


def test_drawn_questions_are_balanced_by_type() -> None:
    count = 5 * len(TYPES) + 3
    scenes = list(scenes_with_questions(count, 4, split=7))
    types = Counter(question.type for _, questions in scenes for question in questions)
    assert types.total() == count
    assert set(types.values()) == {5, 6}
    assert max(len(questions) for _, questions in scenes) == 4


def test_a_split_always_has_the_same_questions_and_another_split_others(tmp_path: Path) -> None:
    sets = []
    for folder, split in (("one", 7), ("again", 7), ("other", 8)):
        list(write_questions(tmp_path / folder, 20, 6, split))
        sets.append(QuestionSet.from_csv(tmp_path / folder))
    one, again, other = sets
    assert one.digest == again.digest != other.digest
    assert [q.question for q in one.questions] == [q.question for q in again.questions]


def test_questions_about_one_scene_are_in_one_group(question_set: QuestionSet) -> None:
    images_of = {(question.group, question.image) for question in question_set.questions}
    groups = {question.group for question in question_set.questions}
    assert 1 < len(groups) == len(images_of) < len(question_set.questions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Contains one image."""
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    return tmp_path


def test_missing_optional_columns_get_defaults(folder: Path) -> None:
    (folder / "mine.csv").write_text("\ufeffimage,question,answer\ncat.png,How many cats?, 1 | one \n")
    (question,) = QuestionSet.from_csv(folder / "mine.csv").questions
    assert (question.id, question.group, question.type) == ("2", "cat.png", "how_many")
    assert (question.truth, question.image) == ("1 | one", folder / "cat.png")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "lacks the columns image, question, answer"),
        ("image,question\ncat.png,what?\n", "lacks the columns answer"),
        ("image,question,answer\n", "contains no questions"),
        ("image,question,answer\ncat.png,what?,\n", "line 2: answer is empty"),
        ("image,question,answer\ncat.png,what?\n", "line 2: answer is empty"),
        ("image,question,answer\ndog.png,what?,dog\n", "line 2: image .*dog.png not found"),
        ("image,question,answer,id\ncat.png,a?,b,x\ncat.png,c?,d,x\n", "two questions have the same id"),
    ],
)
def test_the_error_for_an_invalid_csv_names_the_place(folder: Path, content: str, words: str) -> None:
    (folder / "questions.csv").write_text(content)
    with pytest.raises(QuestionsError, match=words):
        QuestionSet.from_csv(folder)


def test_a_missing_file_or_an_image_is_not_a_csv(folder: Path) -> None:
    with pytest.raises(QuestionsError, match=r"cannot read .*questions.csv: No such file"):
        QuestionSet.from_csv(folder)
    with pytest.raises(QuestionsError, match="is not a CSV file in UTF-8"):
        QuestionSet.from_csv(folder / "cat.png")
