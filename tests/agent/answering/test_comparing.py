"""Unsure comparisons are judged, few sure ones are audited, and feedback reaches its comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.answering.agreement_report import MIN_COMPARED, AgreementReport
from agent.answering.arms import Attempt
from agent.answering.comparing import AUDITED_SHARE, Comparing
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from controller import Arm, Execution, Tier

pytestmark = pytest.mark.anyio
QUERY = Query("q", "Describe the picture.", b"")
UNSURE = ("A man with a bag walks past a shop.", "Somebody is walking along a street of shops.")
SURE = ("The gate is open.", "open")


class ScriptedJudge:
    """Replaces the judge: returns `p`, and counts the calls."""

    def __init__(self, p: float | None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._p = p

    async def p_same(self, arm: Arm, _question: str, one: str, other: str) -> float | None:
        assert arm.tier == "cloud"
        self.asked.append((one, other))
        return self._p


def attempt(text: str, tier: Tier, failure: str | None = None) -> Attempt:
    return Attempt(Execution(Arm(tier, "m", 64, "s"), latency_ms=1.0, failure=failure), text)


def attempts(texts: tuple[str, str], *tiers: Tier) -> list[Attempt]:
    return [attempt(text, tier) for text, tier in zip(texts, tiers or ("local", "cloud"), strict=True)]


def comparing(p: float | None) -> tuple[Comparing, ScriptedJudge]:
    judge: Any = ScriptedJudge(p)
    return Comparing(judge, rng=np.random.default_rng(0)), judge


async def test_what_the_texts_leave_open_is_judged() -> None:
    compared, judge = comparing(0.9)
    (found,) = await compared.judged(QUERY, attempts(UNSURE))
    assert (found.places, found.sure, found.p_same, found.judged) == ((0, 1), False, 0.9, 0.9)
    assert judge.asked == [UNSURE]
    assert compared.report.to_json()["forms"]["text"]["judged_share"] == 1.0


@pytest.mark.parametrize("p", [0.0, 1.0])
async def test_a_judgement_is_never_certain(p: float) -> None:
    (found,) = await comparing(p)[0].judged(QUERY, attempts(UNSURE))
    assert 0 < found.p_same < 1


async def test_without_a_judgement_the_estimate_stays() -> None:
    compared, _ = comparing(None)
    (found,) = await compared.judged(QUERY, attempts(UNSURE))
    assert (found,) == compared.compare(QUERY, attempts(UNSURE))
    assert found.judged is None


async def test_answers_of_the_board_alone_are_not_judged() -> None:
    compared, judge = comparing(0.9)
    await compared.judged(QUERY, attempts(UNSURE, "local", "local"))
    assert judge.asked == []


async def test_few_sure_comparisons_are_judged_and_keep_their_estimate() -> None:
    compared, judge = comparing(0.1)
    query = Query("q", "Is the gate open or closed?", b"")
    for _ in range(1000):
        (found,) = await compared.judged(query, attempts(SURE))
        assert found.sure
        assert found.p_same > 0.85
    assert 0 < len(judge.asked) < 4 * AUDITED_SHARE * 1000
    (count,) = compared.report.to_json()["forms"].values()
    assert (count["audited"], count["contradicted"]) == (len(judge.asked), len(judge.asked))
    assert count["judged_share"] == 0.0


async def test_equal_answers_need_no_judge_and_failures_are_left_out() -> None:
    compared, judge = comparing(0.1)
    tried = [attempt("it is late", "cloud", "late"), attempt("Yes!", "local"), attempt("yes", "cloud")]
    (found,) = await compared.judged(QUERY, tried)
    assert (found.places, found.p_same, found.sure) == ((1, 2), 1.0, True)
    assert judge.asked == []


async def test_feedback_calibrates_the_comparison_of_its_decision() -> None:
    compared, _ = comparing(None)
    (found,) = await compared.judged(QUERY, attempts(UNSURE))
    compared.remember("d", QUERY, [found], 0, "local")
    compared.feedback("another", True)
    assert compared.compare(QUERY, attempts(UNSURE)) == (found,)
    compared.feedback("d", True)
    (after,) = compared.compare(QUERY, attempts(UNSURE))
    assert after.p_same > found.p_same
    compared.feedback("d", True)
    assert compared.compare(QUERY, attempts(UNSURE)) == (after,)


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("text", "name an `answer` form in the query"), ("number", "check that both see the image")],
)
def test_a_form_in_which_almost_nothing_agrees_is_named_once(
    kind: Any, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    report = AgreementReport()
    for _ in range(2 * MIN_COMPARED):
        report.add(AnswerForm(kind), 0.05, True, None)
    (warning,) = report.to_json()["warnings"]
    assert warning.startswith(f"the models seldom agree on form `{kind}`: {advice}")
    assert [record.message for record in caplog.records] == [warning]
    for _ in range(MIN_COMPARED):
        report.add(AnswerForm(kind), 0.9, True, None)
    assert report.to_json()["warnings"] == []


def test_few_comparisons_give_no_warning() -> None:
    report = AgreementReport()
    for _ in range(MIN_COMPARED - 1):
        report.add(AnswerForm("text"), 0.0, True, None)
    assert report.to_json()["warnings"] == []
