"""Which parts of an answer are compared."""

from agent.agreement.claim import Claim
from agent.agreement.evidence import FEATURES, evidence
from agent.agreement.task import TASKS, task_of
from agent.agreement.weights import WEIGHTS
from agent.agreement.words import concepts, stems
from agent.forms.form import AnswerForm

SHORT = AnswerForm("short")


def test_words_of_the_question_and_empty_words_are_no_content() -> None:
    claim = Claim("What brand is the kettle?", SHORT, "The brand of the kettle in the image is Alba.")
    assert claim.content == ["alba"]
    assert claim.core == ["alba"]


def test_an_answer_of_empty_words_keeps_its_words() -> None:
    assert Claim("What is it?", SHORT, "It is this.").content == ["it", "is", "this"]


def test_marked_words_are_the_focus() -> None:
    claim = Claim("What plant is this?", SHORT, "It looks like **wild garlic**, which grows in forests.")
    assert claim.focus == stems("wild garlic")


def test_the_first_clause_is_the_focus_without_marks() -> None:
    claim = Claim("What plant is this?", SHORT, "Based on its leaves, wild garlic, which grows in forests.")
    assert claim.focus == stems("wild garlic")


def test_numbers_of_the_question_do_not_count() -> None:
    claim = Claim("What costs 5 dollars?", SHORT, "For 5 dollars there are 3 lemons.")
    assert [q.value for q in claim.numbers] == [3]


def test_what_identifies_the_thing_asked_about_is_no_content() -> None:
    claim = Claim("What colour is the lid?", SHORT, "The lid on the green pot is white.")
    assert claim.content == claim.focus == claim.core == stems("white")
    where = Claim("Where is the lid?", SHORT, "The lid on the shelf is white.")
    assert set(stems("shelf")) < set(where.content)


def test_what_a_thing_is_next_to_is_no_content() -> None:
    claim = Claim("What is this?", SHORT, "It is a kettle beside an old iron pot.")
    assert claim.content == stems("kettle")


def test_a_subject_with_a_long_modifier_is_not_taken_for_the_answer() -> None:
    claim = Claim(
        "What is the cook holding?", SHORT, "The cook with the lemon on her apron is holding a pan."
    )
    assert claim.content == claim.core == stems("pan")


def test_addresses_file_names_and_codes_are_codes() -> None:
    text = (
        "See https://www.a-b.org/x/y_2.html, or mail to a@b.org: KX-53, AB12, 100cm, and/or 5th of the U.S."
    )
    codes = {"www.a-b.org/x/y_2.html", "a@b.org", "kx-53", "ab12"}
    assert Claim("Which page?", SHORT, text).codes == codes


def test_synonyms_are_one_concept_unless_the_words_are_read() -> None:
    assert Claim("What is it?", SHORT, "sofa").content == Claim("What is it?", SHORT, "couch").content
    asked = "What does it say?"
    assert Claim(asked, SHORT, "sofa").content != Claim(asked, SHORT, "couch").content


def test_synonyms_are_one_concept() -> None:
    assert concepts(stems("a sofa")) == concepts(stems("a couch"))


def test_every_weight_is_for_evidence_of_its_task() -> None:
    claim = Claim("What is it?", SHORT, "A kettle.")
    for task in TASKS:
        assert WEIGHTS[task].keys() <= {"bias", *FEATURES[task]}
        assert evidence(task, claim, claim).keys() == set(FEATURES[task])


def test_tasks_follow_from_question_and_form() -> None:
    assert task_of("How many?", AnswerForm("number")) == "count"
    assert task_of("How tall?", AnswerForm("number")) == "number"
    assert task_of("What does it say?", SHORT) == "reading"
    assert task_of("What is it?", SHORT) == "label"
    assert task_of("Why?", AnswerForm("text")) == "open"
    assert task_of("Which?", AnswerForm("json")) == "open"
