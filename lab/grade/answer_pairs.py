"""Pairs of answers in a trace, labelled by their verdicts: whether both say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from agent.agreement.task import Task
from lab.agreement.pairs import Pair
from lab.grade.verdict import claim_of, verdict
from lab.trace.trace import Trace


@dataclass(frozen=True)
class AnswerPairs:
    """Pairs of each compared arm and the reference.

    Attributes:
        reference: the arm that the others are compared with.
        pairs: those with a known label; their source is the compared arm.
        unlabelled: how many pairs have no label, by task.
    """

    reference: str
    pairs: tuple[Pair, ...]
    unlabelled: Mapping[Task, int]


def answer_pairs(trace: Trace) -> AnswerPairs | None:
    """Pairs the answers of each board arm with those of the most accurate cloud arm.

    With one tier only, each arm is paired with the most accurate one. Two right answers are the same. A right
    and a wrong one differ. Two wrong ones are the same if they claim the same (`claim_of`). Otherwise, and if
    a verdict is unclear, the label is unknown.

    Returns:
        The pairs; None if the trace has no two arms with texts.
    """
    accuracy = {
        arm: sum(run.correct for run in runs if run)
        for arm, runs in trace.runs.items()
        if any(run and run.answer is not None for run in runs)
    }
    cloud = [arm for arm in accuracy if arm.startswith("cloud/")]
    board = [arm for arm in accuracy if arm.startswith("local/")]
    if len(accuracy) < 2:
        return None
    reference = max(cloud if cloud and board else accuracy, key=lambda arm: accuracy[arm])
    compared = board if cloud and board else [arm for arm in accuracy if arm != reference]
    pairs: list[Pair] = []
    unlabelled: Counter[Task] = Counter()
    for arm in compared:
        for question, run, other in zip(trace.questions, trace.runs[arm], trace.runs[reference], strict=True):
            if run is None or other is None or run.answer is None or other.answer is None:
                continue
            same = same_claim(run.answer, other.answer, question.truth)
            pair = Pair(question.question, run.answer, other.answer, same, arm)
            if same is None:
                unlabelled[pair.task] += 1
            else:
                pairs.append(pair)
    return AnswerPairs(reference, tuple(pairs), unlabelled)


def same_claim(a: str, b: str, truth: str) -> bool | None:
    """Returns whether two answers say the same as far as the truth shows; None if it does not.

    >>> same_claim("red", "It is red.", "red"), same_claim("red", "blue", "red")
    (True, False)
    >>> same_claim("blue", "Blue.", "red"), same_claim("blue", "navy", "red")
    (True, None)
    """
    right = verdict(a, truth), verdict(b, truth)
    if None in right:
        return None
    if any(right):
        return all(right)
    return True if claim_of(a, truth) == claim_of(b, truth) else None
