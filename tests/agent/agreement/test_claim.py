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


def test_synonyms_are_one_concept() -> None:
    assert concepts(stems("a sofa")) == concepts(stems("a couch"))


def test_every_task_has_weights_for_its_evidence() -> None:
    claim = Claim("What is it?", SHORT, "A kettle.")
    for task in TASKS:
        assert WEIGHTS[task].keys() == {"bias", *FEATURES[task]}
        assert evidence(task, claim, claim).keys() == set(FEATURES[task])


def test_tasks_follow_from_question_and_form() -> None:
    assert task_of("How many?", AnswerForm("number")) == "count"
    assert task_of("How tall?", AnswerForm("number")) == "number"
    assert task_of("What does it say?", SHORT) == "reading"
    assert task_of("What is it?", SHORT) == "label"
    assert task_of("Why?", AnswerForm("text")) == "open"
    assert task_of("Which?", AnswerForm("json")) == "open"
