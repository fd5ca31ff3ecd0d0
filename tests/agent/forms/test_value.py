"""Which value an answer has."""

from typing import Any

import pytest

from agent.forms.form import AnswerForm
from agent.forms.headline import headline
from agent.forms.polarity import polarity
from agent.forms.quantity import Quantity, quantities
from agent.forms.selection import selected
from agent.forms.unknown import is_unknown, refuses
from agent.forms.value import MAX_CHECKED_LENGTH, answer_problem, unwrapped, value_of

CARS = AnswerForm(
    "json", (), {"type": "object", "properties": {"cars": {"type": "integer"}}, "required": ["cars"]}
)
OPEN = AnswerForm("json", (), {"type": "object"})
ANSWER = AnswerForm("json", (), {"type": "object", "required": ["answer"]})
COLOURS = AnswerForm("choice", ("Red", "Dark blue", "Blue"))


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (AnswerForm("yes_no"), "Yes.", True),
        (AnswerForm("yes_no"), "no, it is shut", False),
        (AnswerForm("yes_no"), "There is no ladder.", False),
        (AnswerForm("yes_no"), "Looking at both, the answer is no.", False),
        (AnswerForm("yes_no"), '{"answer": "yes"}', True),
        (AnswerForm("yes_no"), "unknown", None),
        (AnswerForm("yes_no"), "I cannot tell.", None),
        (AnswerForm("number"), "3", 3),
        (AnswerForm("number"), "There are twenty-one crates.", 21),
        (AnswerForm("number"), "about 1,250.5 kg", 1250.5),
        (AnswerForm("number"), "-4 degrees", -4),
        (AnswerForm("number"), "No crates are left.", 0),
        (AnswerForm("number"), '{"answer": 7}', 7),
        (AnswerForm("number"), "unknown", None),
        (AnswerForm("number"), "green", None),
        (COLOURS, "red", "Red"),
        (COLOURS, "It is dark blue.", "Dark blue"),
        (COLOURS, "(C)", "Blue"),
        (COLOURS, "Not red but blue.", "Blue"),
        (COLOURS, "The correct option is B.", "Dark blue"),
        (COLOURS, "green", None),
        (COLOURS, "red and blue", None),
        (COLOURS, '{"answer": "Red"}', "Red"),
        (AnswerForm("short"), "  a kettle ", "a kettle"),
        (AnswerForm("short"), "Unknown.", None),
        (AnswerForm("text"), "It rains.", "It rains."),
        (AnswerForm("json"), '```json\n{"a": [1]}\n```', {"a": [1]}),
        (AnswerForm("json"), 'The result is {"a": 1}. Enjoy!', {"a": 1}),
        (AnswerForm("json"), '{"answer": {"a": 1}}', {"a": 1}),
        (AnswerForm("json"), '{"answer": "unknown"}', None),
        (AnswerForm("json"), '{"a": ', None),
        (AnswerForm("json"), "[" * 150_000, None),
        (AnswerForm("json"), '{"a": NaN}', None),
        (AnswerForm("json"), "[1e999]", None),
        (CARS, '{"cars": 2}', {"cars": 2}),
        (CARS, '{"answer": {"cars": 2}}', {"cars": 2}),
        (CARS, '{"cars": "two"}', None),
        (CARS, "unknown", None),
        (ANSWER, '{"answer": 2}', {"answer": 2}),
        (OPEN, '{"answer": {"cars": 2}}', {"cars": 2}),
        (OPEN, '{"answer": "unknown"}', None),
    ],
)
def test_an_answer_has_a_value(form: AnswerForm, text: str, value: Any) -> None:
    found = value_of(form, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("form", "text", "problem"),
    [
        (AnswerForm("number"), "two", None),
        (AnswerForm("json"), "[1]", None),
        (AnswerForm("json"), "null", None),
        (AnswerForm("json"), "two", "the answer is not JSON"),
        (AnswerForm("json"), "Unknown.", None),
        (CARS, '{"cars": 2}', None),
        (CARS, '{"answer": {"cars": 2}}', None),
        (CARS, '"unknown"', None),
        (CARS, '{"answer": "unknown"}', None),
        (CARS, '{"cars": ', "the answer is not JSON"),
        (CARS, "[]", "the answer is not JSON of the schema: at $ it does not follow the schema's rule type"),
        (CARS, " " * (MAX_CHECKED_LENGTH + 1) + "[1]", "the answer has more than"),
    ],
)
def test_json_that_does_not_follow_the_schema_is_no_answer(
    form: AnswerForm, text: str, problem: str | None
) -> None:
    found = answer_problem(form, text)
    assert found is None if problem is None else (found or "").startswith(problem)


@pytest.mark.parametrize(
    ("form", "text", "plain"),
    [
        (AnswerForm("number"), '{"answer": 3}', "3"),
        (AnswerForm("short"), '{"answer": "a kettle"}', "a kettle"),
        (AnswerForm("text"), '{"answer": 3}', '{"answer": 3}'),
        (AnswerForm("json"), '{"answer": 3}', '{"answer": 3}'),
        (CARS, '{"answer": {"cars": 2}}', '{"cars": 2}'),
        (ANSWER, '{"answer": 3}', '{"answer": 3}'),
        (OPEN, '{"answer": "unknown"}', '"unknown"'),
    ],
)
def test_the_json_around_an_answer_is_removed(form: AnswerForm, text: str, plain: str) -> None:
    assert unwrapped(form, text) == plain


def test_an_unknown_that_is_a_choice_is_the_choice() -> None:
    assert value_of(AnswerForm("choice", ("ripe", "unknown")), "unknown") == "unknown"


@pytest.mark.parametrize(
    ("text", "question", "number"),
    [
        ("Of the 4 rows, two have 3 cars each, so there are **6** cars.", "How many cars?", 6),
        ("There are 12 boys and 5 girls.", "How many girls are there?", 5),
        ("Each of the 8 friends pays 96 / 8 = $12.", "8 friends share $96. How much should each pay?", 12),
        ("Soup is £4.20 and bread is £1.30. The total is £5.50.", "What is the total?", 5.5),
        ("There is a lamp.", "How many lamps?", 1),
        ("Nothing.", "How many lamps?", None),
    ],
)
def test_the_headline_is_the_number_that_answers(text: str, question: str, number: float | None) -> None:
    found = headline(text, question)
    assert (found and found.value) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [("1\u00bd cups", 1.5), ("2 \u00be kg", 2.75), ("1\u2153", 4 / 3), ("3 1/2 cm", 3.5), ("-1 1/2", -1.5)],
)
def test_a_whole_number_with_a_fraction_is_one_number(text: str, value: float) -> None:
    assert [q.value for q in quantities(text)] == [pytest.approx(value)]


def test_dates_are_no_fractions() -> None:
    assert 12.75 not in [q.value for q in quantities("12 3/4/2020")]


def test_quantities_have_units() -> None:
    found = quantities("2 m, 30 cm, $5, 1/4, 7%, two dozen")
    assert [(q.value, q.unit) for q in found] == [
        (2, "m"),
        (30, "cm"),
        (5, "$"),
        (0.25, ""),
        (7, "%"),
        (24, ""),
    ]


def test_units_are_converted() -> None:
    assert Quantity(1.5, "h").equals(Quantity(90, "min"))
    assert not Quantity(1.5, "kg").equals(Quantity(1.5, "m"))
    assert not Quantity(1.5, "kg").equals(Quantity(1.4, "kg"))


@pytest.mark.parametrize(
    ("text", "question", "sign"),
    [
        ("The tap is running.", "Is the tap running?", 1),
        ("The lid is closed.", "Is the lid open?", -1),
        ("It isn\u2019t locked.", "Is it locked?", -1),
        ("The shelf is unsafe.", "Is the shelf safe?", -1),
        (
            "To decide, look at the wall. It has cracks. Therefore, it cannot be painted.",
            "Can it be painted?",
            -1,
        ),
    ],
)
def test_statements_say_yes_or_no(text: str, question: str, sign: int) -> None:
    assert polarity(text, question) * sign >= 0.4


def test_a_conditional_answer_is_weak() -> None:
    assert abs(polarity("It depends on the weather.", "Can we sail?")) < 0.4


@pytest.mark.parametrize(
    "text", ["", "  ", "unknown", "N/A", "I cannot determine that.", "The plate is not legible."]
)
def test_refusals_are_recognised(text: str) -> None:
    assert refuses(text)


def test_a_denial_is_no_refusal() -> None:
    assert not refuses("It is not a pump.")
    assert not is_unknown("An unknown plant")


def test_points_are_chosen_by_their_letter() -> None:
    assert selected(("A", "B"), "Point B is closer to the camera.") == 1
