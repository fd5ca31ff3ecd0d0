"""Which answers say the same."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.agreement.agreement import Agreement, agreement
from agent.forms.form import KINDS, AnswerForm

AUTO = AnswerForm()
SAME = [
    ("Is the gate open?", "yes", "The gate is open."),
    ("Is the gate open?", "No.", "No, the gate is closed; a chain holds it."),
    ("Is there a ladder?", "no", "There is no ladder in the yard."),
    ("How many crates are there?", "4", "There are four crates on the pallet."),
    ("How many crates are there?", "No crates are visible.", "0"),
    ("How tall is the mast?", "2 m", "The height of the mast is about 200 cm."),
    ("What year is on the coin?", "1968", "The coin was made in the year 1968."),
    ("Is the valve open or shut?", "shut", "The valve is shut."),
    ("Which one? Select one: (A) fan (B) pump", "B", "It moves water, so the answer is (B) pump."),
    ("What does the sign say?", "NO ENTRY", 'The sign says "no entry".'),
    ("What animal is this?", "heron", "This is a heron. It stands in shallow water."),
    ("What color is the van?", "grey", "The van is gray."),
]
DIFFERENT = [
    ("Is the gate open?", "yes", "The gate is closed."),
    ("Is there a ladder?", "Yes, there is a ladder.", "There is no ladder."),
    ("How many crates are there?", "4", "There are five crates on the pallet."),
    ("How tall is the mast?", "2 m", "The mast is 3 m tall."),
    ("What year is on the coin?", "1968", "1986"),
    ("Is the valve open or shut?", "open", "The valve is shut."),
    ("Which one? Select one: (A) fan (B) pump", "(A) fan", "(B) pump"),
    ("What does the sign say?", "exit", "The sign says 'no entry'."),
    ("What animal is this?", "heron", "This is a stork."),
    ("What color is the van?", "red", "The van is blue."),
    ("What color is the van?", "red", "I cannot determine the color."),
]


@pytest.mark.parametrize(("question", "a", "b"), SAME)
def test_the_same_in_other_words_is_recognised(question: str, a: str, b: str) -> None:
    found = agreement(question, AUTO, a, b)
    assert found.p_same > 0.7, found


@pytest.mark.parametrize(("question", "a", "b"), DIFFERENT)
def test_different_answers_are_recognised(question: str, a: str, b: str) -> None:
    found = agreement(question, AUTO, a, b)
    assert found.p_same < 0.3, found


@pytest.mark.parametrize(
    ("question", "a", "b", "layer"),
    [
        ("What is it?", "A red kettle.", "red kettle", "words"),
        ("What is it?", "Red kettle.", "red kettle", "exact"),
        ("What is it?", "unknown", "", "refusal"),
        ("What is it?", "kettle", "unknown", "refusal"),
        ("How many?", "3", "4", "number"),
        ("Is it on?", "yes", "Yes, it is.", "polarity"),
        ("Is it on or off?", "on", "it is off", "choice"),
    ],
)
def test_the_layer_is_the_evidence_that_decided(question: str, a: str, b: str, layer: str) -> None:
    assert agreement(question, AUTO, a, b).layer == layer


def test_two_answers_that_are_unknown_are_the_same() -> None:
    assert agreement("What is it?", AUTO, "unknown", "n/a") == Agreement(0.9, True, "refusal")


def test_signs_and_suffixes_are_not_lost() -> None:
    assert agreement("What is the temperature?", AUTO, "-5", "5").layer != "exact"
    assert agreement("What language is the book about?", AUTO, "C", "C++").layer != "exact"


def test_text_read_from_the_image_is_surely_the_same_only_by_its_words() -> None:
    question = "What does the sign say?"
    assert agreement(question, AUTO, "Hartley", "The sign says Hartley.").sure
    assert not agreement(question, AUTO, "Hartley", "The sign says Hartly.").sure


def test_numbers_that_both_answers_mention_are_not_surely_different() -> None:
    a, b = "There are 3 lamps and 5 hooks.", "There are 5 lamps and 3 hooks."
    assert not agreement("How many lamps are on?", AnswerForm("number"), a, b).sure


def test_money_and_years_have_no_tolerance() -> None:
    assert agreement("What year is on the coin?", AUTO, "2011", "2012").p_same < 0.3
    assert agreement("How much does it cost?", AUTO, "$37.02", "$36.59").p_same < 0.3
    assert agreement("How long is the rope?", AUTO, "100 cm", "about 101 cm").p_same > 0.7


def test_json_is_compared_by_field() -> None:
    form = AnswerForm("json")
    a = {"cars": 2, "colour": "Red", "plates": ["x", "y"]}
    assert agreement("List.", form, json.dumps(a), json.dumps(a | {"colour": "red"}, indent=1)).sure
    half = agreement(
        "List.", form, json.dumps(a), json.dumps({"cars": 3, "colour": "blue", "plates": ["x", "y"]})
    )
    assert not half.sure
    assert half.p_same < 0.5
    assert agreement("List.", form, '{"a": 1}', '{"a": 2}') == Agreement(0.02, True, "json")
    assert agreement("List.", form, '{"a": 1}', '{"a": true}').p_same < 0.5


def test_json_that_cannot_be_read_is_compared_as_text() -> None:
    assert agreement("List.", AnswerForm("json"), "two cars", '{"cars": 2}').layer == "words"


forms = st.sampled_from(
    [AnswerForm("choice", ("red", "blue")) if kind == "choice" else AnswerForm(kind) for kind in KINDS]
)
words = st.sampled_from(
    [
        "yes",
        "no",
        "not",
        "the",
        "car",
        "3",
        "-4",
        "two",
        "(A)",
        "B.",
        "red",
        "**",
        '"',
        "{",
        "}",
        "[",
        ":",
        "\n",
        ".",
        "$5",
        "1/0",
    ]
)
texts = st.text(max_size=300) | st.lists(words, max_size=30).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(question=texts, form=forms, a=texts, b=texts)
def test_any_two_texts_have_a_probability_whatever_their_order(
    question: str, form: AnswerForm, a: str, b: str
) -> None:
    found = agreement(question, form, a, b)
    assert 0 <= found.p_same <= 1
    assert found == agreement(question, form, b, a)
    assert agreement(question, form, a, a).p_same >= 0.9


HOSTILE = [
    "x" * 100_000,
    "no " * 33_000,
    "1," * 50_000,
    "9" * 100_000,
    "hundred " * 12_500,
    '"' * 100_000,
    "*" * 100_000,
    "(" * 100_000,
    "[" * 100_000,
    '{"a":' * 20_000,
    ". " * 50_000,
    "A " * 50_000,
    " " * 100_000,
    "\n" * 100_000,
    "\ufdfa" * 100_000,
    "\\frac{1}{2}" * 9_000,
    "one two three and four " * 4_300,
    "is it a or b " * 7_700,
    "in the image, " * 7_100,
    "there is " * 11_000,
    "\ud800" * 1000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("kind", ["auto", "yes_no", "number", "choice", "short", "text", "json"])
def test_long_texts_take_a_bounded_time(kind: str, text: str) -> None:
    form = AnswerForm("choice", ("red", "blue")) if kind == "choice" else AnswerForm(kind)  # type: ignore[arg-type]
    start = time.process_time()
    found = agreement(text, form, text, text[::-1] + "!")
    assert time.process_time() - start < 1.0
    assert 0 <= found.p_same <= 1
