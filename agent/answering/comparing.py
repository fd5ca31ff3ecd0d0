"""Compares the answers to one query: the labels that the policy learns from.

1. Answers that are equal after normalisation say the same. Else `agent.agreement` estimates the probability
   from their texts, corrected by what judgements and feedback have shown (`Calibration`).
2. If that is not sure and a cloud model gave one of the answers, the model is asked (`Judge`), after the
   reply was sent. Its judgement replaces the estimate.
3. A share of the sure comparisons is judged too, to count how often the judge contradicts them. The
   estimate stays, because on such pairs it is the better of the two.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from agent.agreement.agreement import Agreement, agreement
from agent.agreement.calibration import Calibration
from agent.agreement.task import Task, task_of
from agent.answering.agreement_report import AgreementReport
from agent.answering.arms import Attempt
from agent.answering.normalise import normalise
from agent.forms.form import AnswerForm
from agent.forms.infer import infer
from agent.judging.judge import Judge
from agent.messages.query import Query
from controller import Tier

AUDITED_SHARE: Final = 0.02
MAX_REMEMBERED: Final = 4096  # comparisons that feedback can still reach
LEAST, MOST = 0.02, 0.98  # a judge can be wrong


@dataclass(frozen=True)
class Comparison:
    """Whether the answers of two attempts say the same.

    Attributes:
        places: of the two attempts, the earlier one first.
        found: the estimate from the texts, not corrected; None if both are equal after normalisation.
        p_same: the probability to learn from.
        sure: whether the estimate could be used as a fact.
        judged: the judge's probability; None if it was not asked.
    """

    places: tuple[int, int]
    found: Agreement | None
    p_same: float = 1.0
    sure: bool = True
    judged: float | None = None


class Comparing:
    """Compares answers, and learns how to.

    Attributes:
        calibration: learns from judgements and feedback.
        report: counts the comparisons by form.

    Args:
        judge: None if no model is asked.
    """

    def __init__(self, judge: Judge | None, *, rng: np.random.Generator) -> None:
        self.calibration = Calibration()
        self.report = AgreementReport()
        self._judge = judge
        self._rng = rng
        self._remembered: OrderedDict[str, tuple[Task, Agreement, Tier]] = OrderedDict()

    def compare(self, query: Query, attempts: Sequence[Attempt]) -> tuple[Comparison, ...]:
        """Compares all answers by their texts; failed attempts are left out."""
        answered = [place for place, attempt in enumerate(attempts) if attempt.execution.failure is None]
        return tuple(
            self._compare(query, places, attempts[places[0]].text, attempts[places[1]].text)
            for places in combinations(answered, 2)
        )

    async def judged(
        self, query: Query, attempts: Sequence[Attempt], *, may_leave: Callable[[], bool] = lambda: True
    ) -> tuple[Comparison, ...]:
        """Compares all answers by their texts, and asks the judge where they leave it open.

        Args:
            may_leave: returns whether the texts may go to the cloud now.
        """
        compared = [
            await self._judged(query, attempts, comparison) if may_leave() else comparison
            for comparison in self.compare(query, attempts)
        ]
        for comparison in compared:
            self.report.add(_resolved(query), comparison.p_same, comparison.sure, comparison.judged)
        return tuple(compared)

    def remember(
        self, decision_id: str, query: Query, comparisons: Sequence[Comparison], chosen: int, tier: Tier
    ) -> None:
        """Records the comparisons of the answer that was sent, for feedback that may follow.

        Args:
            chosen: place of the attempt whose answer was sent.
            tier: of its arm.
        """
        for comparison in comparisons:
            if chosen in comparison.places and comparison.found is not None:
                self._remembered[decision_id] = (_task(query), comparison.found, tier)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def feedback(self, decision_id: str, correct: bool, weight: float = 1.0) -> None:
        """Learns whether the answer that was sent is correct, and how far that is believed."""
        if decision_id in self._remembered:
            task, found, tier = self._remembered.pop(decision_id)
            self.calibration.learn_feedback(task, found, tier, correct=correct, weight=weight)

    def _compare(self, query: Query, places: tuple[int, int], one: str, other: str) -> Comparison:
        if normalise(one) == normalise(other):
            return Comparison(places, None)
        found = agreement(query.question, query.form, one, other)
        corrected = self.calibration.corrected(_task(query), found)
        return Comparison(places, found, corrected.p_same, corrected.sure)

    async def _judged(self, query: Query, attempts: Sequence[Attempt], comparison: Comparison) -> Comparison:
        one, other = (attempts[place] for place in comparison.places)
        clouds = [attempt for attempt in (other, one) if attempt.execution.arm.tier == "cloud"]
        if comparison.found is None or self._judge is None or not clouds:
            return comparison
        if comparison.sure and self._rng.random() >= AUDITED_SHARE:
            return comparison
        p_same = await self._judge.p_same(clouds[0].execution.arm, query.question, one.text, other.text)
        if p_same is None:
            return comparison
        p_same = min(MOST, max(LEAST, p_same))
        if comparison.sure:
            return replace(comparison, judged=p_same)
        self.calibration.learn(_task(query), comparison.found, p_same)
        return replace(comparison, p_same=p_same, judged=p_same)


def _resolved(query: Query) -> AnswerForm:
    return infer(query.question) if query.form.kind == "auto" else query.form


def _task(query: Query) -> Task:
    return task_of(query.question, _resolved(query))
