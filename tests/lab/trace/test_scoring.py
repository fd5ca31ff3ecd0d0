"""Which answers count as right."""

import pytest

from lab.trace.scoring import is_right


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("Red", "red"),
        ("The red one.", "red one"),
        ("a  dog", "dog"),
        ("two", "2"),
        ("2.", "two"),
        ("none", "0"),
        ("Yes, there is.", "yes"),
        ("NO", "no"),
        ("no, it isn't", "no"),
        ("There are 3 cups.", "3"),
        ("There are three.", "3"),
        ("-4.5", "-4.5"),
        ("1,000", "1,000"),
        ("isn't", "isnt"),
        ("gray", "grey|gray"),
        ("two", "3|2"),
    ],
)
def test_answer_is_right(answer: str, truth: str) -> None:
    assert is_right(answer, truth)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("", "red"),
        ("", ""),
        ("reddish", "red"),
        ("red circle", "red"),
        ("yesterday", "yes"),
        ("nothing", "no"),
        ("it is not, no", "no"),
        ("2 or 3", "3"),
        ("13", "3"),
        ("3.5", "3"),
        ("-3", "3"),
        ("30", "3|0"),
        ("yes", "no"),
        ("yes", "two"),
    ],
)
def test_answer_is_wrong(answer: str, truth: str) -> None:
    assert not is_right(answer, truth)
