"""Which form a question asks for."""

import pytest

from agent.forms.alternatives import either, lettered
from agent.forms.infer import asks_to_count, asks_to_read, infer


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Is the barrier down?", "yes_no"),
        ("are there any puddles on the road", "yes_no"),
        ("Isn't the lamp broken?", "yes_no"),
        ("I parked here yesterday. Can I leave my van here today?", "yes_no"),
        ("In the lower half, does the fence have a gap?", "yes_no"),
        ("Is it raining or not?", "yes_no"),
        ("Is there a ladder or a rope in the shed?", "yes_no"),
        ("Are there fans, pumps or motors in the shed?", "yes_no"),
        ("Read the gauge.", "short"),
        ("Please name the plant.", "short"),
        ("Name the plant and its origin.", "text"),
        ("How many crates are on the pallet?", "number"),
        ("Count the ducks.", "number"),
        ("What is the number of seats?", "number"),
        ("What year was the bridge built?", "number"),
        ("How much does the lemonade cost?", "number"),
        ("What's the height of the mast?", "number"),
        ("What is the phone number on the van?", "short"),
        ("What does the banner say?", "short"),
        ("What colour is the door?", "short"),
        ("Who is on the stamp?", "short"),
        ("Where is the bus going?", "short"),
        ("Describe the yard.", "text"),
        ("Can you describe the yard?", "text"),
        ("Why is the gate locked?", "text"),
        ("How do I open the valve?", "text"),
        ("What is happening in the picture?", "text"),
        ("Which pump is louder and why?", "text"),
        ("Which tank is the fullest and how many litres does it hold?", "text"),
        ("What plant is this? Is it edible?", "text"),
        ("List the tools.", "text"),
        ("", "text"),
    ],
)
def test_the_words_of_a_question_give_its_form(question: str, kind: str) -> None:
    assert infer(question).kind == kind


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("Is the valve open or shut?", ("open", "shut")),
        ("Is this an oak or a birch?", ("oak", "birch")),
        ("Is the tile plain, striped or dotted?", ("plain", "striped", "dotted")),
        ("Is it a fan, a small pump, or a motor?", ("fan", "small pump", "motor")),
        ("Which is it: a fan, a pump, or a motor?", ("fan", "pump", "motor")),
        ("What colour is the fan, red or blue?", ("red", "blue")),
        ("Is the man in the hat, who walks, old or young?", ("old", "young")),
        ("Is the fan on the left, right, or in the middle?", ("left", "right", "middle")),
        ("Is the arrow on the left or the right?", ("left", "right")),
        ("Which tyre is flat? Select one: (A) front left (B) rear right", ("front left", "rear right")),
        ("What is it?\nA. a pump\nB. a fan\nC. a drill", ("a pump", "a fan", "a drill")),
        ("Which point is higher? (A) (B) (C)", ("A", "B", "C")),
    ],
)
def test_choices_in_the_question_are_found(question: str, choices: tuple[str, ...]) -> None:
    found = infer(question)
    assert (found.kind, found.choices) == ("choice", choices)


@pytest.mark.parametrize(
    "question", ["Is it cold or not?", "Can you see it?", "Is A or B bigger than C or D or E, F?"]
)
def test_questions_without_two_clear_choices_have_none(question: str) -> None:
    assert either(question) == ()


def test_a_single_letter_is_no_list() -> None:
    assert lettered("Is (A) the exit?") == ()


def test_reading_and_counting_are_recognised() -> None:
    assert asks_to_read("Which brand is the kettle?")
    assert asks_to_read("What word is on the label?")
    assert not asks_to_read("Who is next to the sign?")
    assert not asks_to_read("What colour is the letter?")
    assert asks_to_count("How many steps?")
    assert not asks_to_count("How long is the rope?")


def test_a_long_question_takes_bounded_time() -> None:
    assert infer("is it a or " * 20_000).kind in ("yes_no", "choice", "text")
