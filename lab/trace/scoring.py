"""Scores answers as right or wrong, as is usual in visual question answering (VQA).

1. Answer and truth are normalised as in VQA (Antol et al. 2015, arXiv 1505.00468): lower case, no articles,
   no punctuation outside numbers, number words from zero to ten as digits. Then they must be equal.
2. If the truth is "yes" or "no", the first word of the answer is compared: "No, there is none."
3. If the truth is a number, the answer may be a sentence with exactly this one number: "There are 3."
4. Several right answers are separated by "|"; one of them is enough. VQA scores the share of ten annotators:
   to convert it, list the answers of three or more annotators, which get the full score.

Nothing else counts as right: no synonyms, no parts of words, no judgement by another model.
"""

from __future__ import annotations

import re

from agent.answering.normalise import normalise

YES_NO = ("yes", "no")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


def is_right(answer: str, truth: str) -> bool:
    """Returns whether `answer` is `truth`, or one of several truths.

    >>> is_right("The red one.", "red one"), is_right("Yes, two of them", "yes"), is_right("two or 3", "3")
    (True, True, False)
    """
    return any(_matches(normalise(answer), normalise(one)) for one in truth.split("|"))


def _matches(answer: str, truth: str) -> bool:
    if answer == truth:
        return bool(truth)
    if truth in YES_NO:
        return re.split(r"\W+", answer, maxsplit=1)[0] == truth
    if NUMBER.fullmatch(truth):
        return NUMBER.findall(answer) == [truth]
    return False
