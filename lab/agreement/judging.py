"""Compares pairs of answers, with the weights that ship and with weights fitted on other pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from agent.agreement.agreement import Weights, agreement
from agent.agreement.weights import WEIGHTS
from agent.answering.normalise import normalise
from lab.agreement.fitting import example, fit
from lab.agreement.pairs import Pair
from lab.agreement.scoring import Judged

PENALTY: Final = 100.0


def judge(pairs: Sequence[Pair]) -> list[Judged]:
    """Returns how the weights that ship judge pairs whose truth is known; equal pairs are compared once."""
    distinct = {pair: _judged(pair, WEIGHTS) for pair in dict.fromkeys(replace(p, source="") for p in pairs)}
    return [distinct[replace(pair, source="")] for pair in pairs]


def cross_validate(pairs: Sequence[Pair], folds: int, rng: np.random.Generator) -> list[Judged]:
    """Returns how the pairs of each fold are judged by weights that were fitted on the other folds.

    Few pairs per task cannot determine 30 weights, so they are shrunk towards the weights that ship. Pairs
    with the same question are in the same fold: otherwise what is special in a question could be learned.
    """
    fold_of = _folds(pairs, folds, rng)
    examples = [example(pair) for pair in pairs]
    fitted = [
        fit((one for one, fold in zip(examples, fold_of, strict=True) if fold != tested), PENALTY, WEIGHTS)
        for tested in range(folds)
    ]
    return [_judged(pair, fitted[fold]) for pair, fold in zip(pairs, fold_of, strict=True)]


def _judged(pair: Pair, weights: Weights) -> Judged:
    found = agreement(pair.question, pair.form, pair.a, pair.b, weights=weights)
    return Judged(bool(pair.same), found.p_same, found.sure, equal(pair))


def equal(pair: Pair) -> bool:
    """Returns whether the answers are equal after VQA normalisation."""
    return normalise(pair.a) == normalise(pair.b)


def _folds(pairs: Sequence[Pair], folds: int, rng: np.random.Generator) -> list[int]:
    """Returns each pair's fold; each distinct question is in one."""
    questions = list(dict.fromkeys(pair.question for pair in pairs))
    order = rng.permutation(len(questions))
    fold = {questions[at]: place % folds for place, at in enumerate(order)}
    return [fold[pair.question] for pair in pairs]
