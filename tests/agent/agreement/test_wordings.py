"""Wordings of one truth that need more than the words themselves to be recognised."""

import pytest

from agent.agreement.agreement import agreement
from agent.forms.form import AnswerForm
from agent.forms.polarity import polarity
from agent.forms.unknown import refuses

AUTO = AnswerForm()


@pytest.mark.parametrize(
    ("text", "sense"),
    [
        ("The lid isn't closed.", 1),
        ("It is not fully closed.", 1),
        ("It is no longer open.", -1),
        ("Nobody can get in; the lid is closed.", -1),
        ("Closed.", -1),
        ("It is.", 1),
        ("It isn't.", -1),
        ("It cannot.", -1),
    ],
)
def test_negations_opposites_and_short_answers_say_yes_or_no(text: str, sense: int) -> None:
    assert polarity(text, "Is the lid open?") * sense > 0.6


def test_a_denied_prefix_is_no_denial() -> None:
    assert polarity("The shelf is not unsafe.", "Is the shelf safe?") > 0.6
    assert polarity("The shelf is unsafe.", "Is the shelf safe?") < -0.6


@pytest.mark.parametrize(
    "question", ["Is there a lid?", "Hello. Do you see any lid?", "Does this image show a lid?"]
)
@pytest.mark.parametrize(
    "text", ["I cannot see a lid here.", "A lid is not visible.", "I can't find any, nor see one."]
)
def test_what_is_not_seen_is_not_there(question: str, text: str) -> None:
    assert not refuses(text, question)
    assert polarity(text, question) < -0.3


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Is the lid red?", "I cannot see a lid."),
        ("Is there a lid?", "I cannot see any image."),
        ("Is there a lid?", "I cannot see whether there is one."),
        ("Is there a lid?", "It is not clearly visible."),
        ("What colour is the lid?", "The lid is not visible."),
    ],
)
def test_what_cannot_be_answered_is_refused(question: str, text: str) -> None:
    assert refuses(text, question)


@pytest.mark.parametrize(
    ("question", "a", "b"),
    [
        ("Is there a ladder?", "No.", "I cannot see a ladder; there is only a rope."),
        ("Is the gate open?", "Yes.", "It is not closed."),
        ("What colour is the bucket?", "Mostly green.", "The bucket by the wall is green."),
        ("What colour is the bucket?", "Looks green to me.", "The bucket by the wall appears to be green."),
        ("What animal is this?", "Some kind of heron.", "The animal in the water is a heron."),
    ],
)
def test_the_same_is_surely_the_same(question: str, a: str, b: str) -> None:
    found = agreement(question, AUTO, a, b)
    assert found.sure, found
    assert found.p_same > 0.5, found


@pytest.mark.parametrize(
    ("question", "a", "b"),
    [
        ("Is there a ladder?", "Yes.", "I cannot see a ladder; there is only a rope."),
        ("Is the gate open?", "No.", "It is not closed."),
        ("What colour is the bucket?", "Mostly green.", "The bucket by the wall is blue."),
        ("What colour is the bucket?", "Looks green to me.", "The bucket by the wall appears to be grey."),
    ],
)
def test_another_truth_is_not_the_same(question: str, a: str, b: str) -> None:
    assert agreement(question, AUTO, a, b).p_same < 0.3
