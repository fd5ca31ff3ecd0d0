"""Which answers in a trace say the same, as far as the truths show it."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.signals import FEATURES
from lab.cli import app
from lab.grade.agreement_section import agreement_markdown
from lab.grade.answer_pairs import answer_pairs, same_claim
from lab.grade.verdict import verdict
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, TracedQuestion, write_trace

BOARD, SMALL, BIG = "local/board@64", "cloud/small@64", "cloud/big@64"
ASKED = [("Is the gate open?", "no"), ("How many crates?", "4"), ("What colour is the van?", "red|crimson")]


def trace_of(**answers: tuple[str | None, ...]) -> Trace:
    questions = tuple(
        TracedQuestion(str(n), str(n), "", question, truth, np.zeros(len(FEATURES)))
        for n, (question, truth) in enumerate(ASKED)
    )
    arms = {"board": BOARD, "small": SMALL, "big": BIG}
    runs = {
        arms[name]: tuple(
            Run(text, bool(text and is_right(text, truth)), None, None, None, 1.0, 1.0, 1.0, "modelled", 1)
            for text, (_, truth) in zip(texts, ASKED, strict=True)
        )
        for name, texts in answers.items()
    }
    return Trace(questions, runs)


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("No, it is closed.", "no", True),
        ("Yes.", "no", False),
        ("It is closed.", "no", None),
        ("There are four crates.", "4", True),
        ("There are 5 crates.", "4", False),
        ("Two of the 4 crates.", "4", None),
        ("A dozen or so.", "4", None),
        ("The van is dark red.", "red", True),
        ("The van is crimson.", "red|crimson", True),
        ("The van is blue.", "red", False),
        ("It is reddish.", "red", False),
        ("It isn't red.", "red", None),
        ("van Gogh", "Vincent van Gogh", None),
        ("I cannot see it.", "red", False),
        ("", "red", False),
    ],
)
def test_answers_in_sentences_have_a_verdict_or_are_unclear(
    answer: str, truth: str, right: bool | None
) -> None:
    assert verdict(answer, truth) is right


@pytest.mark.parametrize(
    ("a", "b", "truth", "same"),
    [
        ("red", "The van is crimson.", "red|crimson", True),
        ("red", "The van is blue.", "red", False),
        ("blue", "Blue.", "red", True),
        ("blue", "It is green.", "red", None),
        ("Yes.", "Yes, it is open.", "no", True),
        ("5", "There are five of them.", "4", True),
        ("5", "6", "4", None),
        ("red", "It isn't red.", "red", None),
    ],
)
def test_labels_follow_from_the_verdicts(a: str, b: str, truth: str, same: bool | None) -> None:
    assert same_claim(a, b, truth) is same
    assert same_claim(b, a, truth) is same


def test_the_board_is_compared_with_the_most_accurate_cloud_arm() -> None:
    found = answer_pairs(
        trace_of(board=("no", "5", "It is blue."), small=("yes", "5", "red"), big=("no", "4", "It is pink."))
    )
    assert found
    assert found.reference == BIG
    assert [(pair.source, pair.b, pair.same) for pair in found.pairs] == [
        (BOARD, "no", True),
        (BOARD, "4", False),
    ]
    assert found.unlabelled == {"label": 1}


def test_arms_of_one_tier_are_compared_with_each_other() -> None:
    found = answer_pairs(trace_of(small=("yes", "5", "red"), big=("no", "4", "red")))
    assert found
    assert [(pair.source, pair.same) for pair in found.pairs] == [
        (SMALL, False),
        (SMALL, False),
        (SMALL, True),
    ]


def test_without_two_arms_with_texts_there_are_no_pairs() -> None:
    assert answer_pairs(trace_of(big=("no", "4", "red"))) is None
    assert answer_pairs(trace_of(board=(None, None, None), big=("no", "4", "red"))) is None


def test_the_section_says_what_is_left_out() -> None:
    found = answer_pairs(trace_of(board=("It is open.", "4", "Red."), big=("no", "4", "It is red.")))
    assert found
    section = agreement_markdown(found)
    assert "Left out because the truth does not show it: yes_no 1." in section
    assert "| label | 1 |" in section
    nothing = answer_pairs(trace_of(board=("open",) * 3, big=("closed",) * 3))
    assert nothing
    assert "| pairs |" not in agreement_markdown(nothing)


def test_the_command_reports_the_agreement_of_a_trace(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the bench extra is not installed")
    path = tmp_path / "t.csv.gz"
    write_trace(path, trace_of(board=("yes", "4", "red"), big=("no", "There are four.", "It is red.")))
    ran = CliRunner().invoke(app, ["grade", str(path)])
    assert ran.exit_code == 0, ran.output
    assert f"### Agreement\n\nEach arm's answers compared with those of {BIG}." in ran.output
    assert "| yes_no | 1 |" in ran.output
    assert "### Agreement" not in CliRunner().invoke(app, ["grade", str(path), "--model", "big"]).output
