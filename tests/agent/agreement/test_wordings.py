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


STATEMENTS = [
    ("Are there any cars on the bridge?", "A car stands on it.", 1),
    ("Are there any cars on the bridge?", "None are there.", -1),
    ("Are there any cars on the bridge?", "The bridge is empty.", -1),
    ("Are there any cars on the bridge?", "I see two cars; they do not move.", 1),
    ("Is there a lid on the pot?", "There is one.", 1),
    ("Is there a lid on the pot?", "There isn't any.", -1),
    ("Is the flag red?", "It is green.", -1),
    ("Is the flag red?", "The flag is red with white stars.", 1),
    ("Is the flag red?", "It isn't green, it is red.", 1),
    ("Is the left jar taller than the right jar?", "The right jar is taller.", -1),
    ("Is the left jar taller than the right jar?", "The right jar is taller than the left one.", -1),
    ("Is the left jar taller than the right jar?", "The left one is taller.", 1),
    ("Is the left jar taller than the right jar?", "The jars are the same height.", -1),
    ("Does the cook wear a cap?", "The cook is wearing a scarf instead of a cap.", -1),
    ("Does the cook wear a cap?", "The cook works without a cap.", -1),
    ("Can I swim here?", "Swimming is prohibited here.", -1),
    ("Can I swim here?", "You should not swim here.", -1),
    ("Can I swim here?", "The water looks deep. You can swim here.", 1),
    ("Does the rule forbid swimming?", "The rule does not forbid swimming.", -1),
    ("Does the rule forbid swimming?", "The rule forbids swimming.", 1),
    ("Does the rule forbid swimming?", "The rule allows swimming.", -1),
    ("Can the crane reach the roof?", "The crane is unable to reach the roof.", -1),
    ("Isn't the pump on?", "The pump is on.", 1),
    ("Isn't the pump on?", "The pump is off.", -1),
    ("Is the soup hot?", "It is hot, do not touch it.", 1),
    ("Is the soup free of nuts?", "Affirmative.", 1),
    ("Does the soup contain nuts?", "The soup is nut-free.", -1),
]


@pytest.mark.parametrize(("question", "text", "sense"), STATEMENTS)
def test_statements_without_yes_or_no_answer(question: str, text: str, sense: int) -> None:
    assert polarity(text, question) * sense >= 0.4


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Is the fence made of wood?", "The fence is painted."),
        ("Is there a cat under the bench?", "There is a dog under the bench."),
        ("Is it raining?", "The plate is made of tin."),
    ],
)
def test_another_statement_leaves_it_open(question: str, text: str) -> None:
    assert abs(polarity(text, question)) < 0.2


@pytest.mark.parametrize(
    "text",
    [
        "It is hard to tell whether the lid is open.",
        "Whether it is open would depend on the spring.",
        "The lid is too far away to tell.",
        "To be certain, you need to check the hinge.",
        "It is unclear if the lid is open.",
    ],
)
def test_what_is_left_open_is_neither_yes_nor_no(text: str) -> None:
    question = "Is the lid open?"
    assert agreement(question, AUTO, text, "Yes, it is.").p_same < 0.15
    assert agreement(question, AUTO, text, "The lid is closed.").p_same < 0.15
    assert agreement(question, AUTO, text, "I cannot say whether it is open.").p_same > 0.8


def test_a_yes_before_a_remark_is_a_yes() -> None:
    text = "Yes, the lid is open. More information is needed to know how wide."
    assert agreement("Is the lid open?", AUTO, text, "The lid is open.").p_same > 0.85


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
        ("What colour is the bucket?", "Mostly green.", "The bucket by the green wall is blue."),
        ("What colour is the bucket?", "green", "It is the blue one, next to the green wall."),
        ("What material is the fence?", "wood", "The fence that joins the wood shed is made of steel."),
        ("What animal is this?", "dog", "This is a cat that sits beside a dog."),
        ("Is the tile plain, striped or dotted?", "dotted", "plain"),
        ("Is the tile plain or dotted?", "dotted", "It is striped."),
        ("Which page is it?", "www.a.org/x/y_1.html", "The page is www.a.org/x/y_2.html."),
    ],
)
def test_another_truth_is_not_the_same(question: str, a: str, b: str) -> None:
    assert agreement(question, AUTO, a, b).p_same < 0.3
