"""Whether two answers to one question say the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from agent.agreement.claim import Claim
from agent.agreement.evidence import evidence
from agent.agreement.leaves import same_share
from agent.agreement.task import Task, task_of
from agent.agreement.weights import WEIGHTS
from agent.agreement.words import stems
from agent.forms.folding import MAX_READ, fold
from agent.forms.form import AnswerForm
from agent.forms.infer import infer
from agent.forms.unknown import is_unknown

Layer = Literal["exact", "refusal", "json", "choice", "polarity", "number", "words"]
Weights = Mapping[Task, Mapping[str, float]]
SURE_SAME, SURE_DIFFERENT = 0.85, 0.15
P_EXACT: Final = 0.98
P_BOTH_UNKNOWN: Final = 0.9
BIAS: Final = "bias"
_SIMILAR_SPELLING: Final = 0.5


@dataclass(frozen=True)
class Agreement:
    """How probable it is that two answers say the same.

    Attributes:
        p_same: the probability.
        sure: whether it is close enough to 0 or 1 to be used as a fact.
        layer: the evidence that decided.
    """

    p_same: float
    sure: bool
    layer: Layer


def agreement(question: str, form: AnswerForm, a: str, b: str, *, weights: Weights = WEIGHTS) -> Agreement:
    """Compares two answers; the result does not depend on their order. Never raises, whatever the texts.

    >>> agreement("Is the gate open?", AnswerForm("yes_no"), "No.", "The gate is closed.").p_same > 0.5
    True
    >>> agreement("How many cars?", AnswerForm("number"), "3", "There are four cars.").p_same < 0.15
    True
    """
    if form.kind == "auto":
        form = infer(question)
    if form.kind == "json" and (share := same_share(a, b)) is not None:
        return Agreement(P_EXACT if share == 1.0 else 0.02 + 0.6 * share, share == 1.0 or share < 0.2, "json")
    unknown = is_unknown(a), is_unknown(b)
    if all(unknown):
        return Agreement(P_BOTH_UNKNOWN, True, "refusal")
    if _equal(a, b):
        return Agreement(P_EXACT, True, "exact")
    task = task_of(question, form)
    claims = Claim(question, form, a), Claim(question, form, b)
    found = evidence(task, *claims)
    p = probability(weights[task], found)
    return Agreement(p, is_sure(task, p, found), _layer(task, found))


def _equal(a: str, b: str) -> bool:
    """Returns whether both texts are the same words; of texts that are too long to be read, the same text."""
    if a.strip() == b.strip():
        return True
    if max(len(a), len(b)) > MAX_READ:
        return False
    words = stems(fold(a))
    return bool(words) and words == stems(fold(b))


def probability(weights: Mapping[str, float], found: Mapping[str, float]) -> float:
    """Returns the logistic of the weighted evidence.

    >>> probability({"bias": -1.0, "exact": 2.0}, {"exact": 0.5})
    0.5
    """
    score = weights.get(BIAS, 0.0) + sum(weights.get(name, 0.0) * value for name, value in found.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def is_sure(task: Task, p_same: float, found: Mapping[str, float]) -> bool:
    """Returns whether a probability can be used as a fact.

    Numbers are not surely different if each answer mentions the other's number too.
    Text that is read from the image is the same only if its words are, and different only if no spelling is
    close and no answering phrase is in the other answer.
    """
    if task == "reading":
        if p_same > 0.5 and not (found["run"] or found["core_mutual"] == 1.0):
            return False
        near = found["chars"] > _SIMILAR_SPELLING or found["core_found"] >= 0.5
        if p_same < 0.5 and near and not found["refused"]:
            return False
    if task in ("count", "number") and p_same < 0.5 and found["number_found"] == 1.0:
        return False
    return not SURE_DIFFERENT <= p_same <= SURE_SAME


def _layer(task: Task, found: Mapping[str, float]) -> Layer:
    if found["refused"] or found["both_refused"]:
        return "refusal"
    if task == "choice" and (found["choice"] or found["choice_differ"]):
        return "choice"
    if task == "yes_no" and (found["sense"] or found["sense_differ"]):
        return "polarity"
    return "number" if task in ("count", "number") and found["number"] else "words"
