"""When an answer counts as right: the practice of visual question answering.

1. Both sides are normalised as VQA does (Antol et al. 2015, arXiv 1505.00468): lower case, no articles, no
   punctuation outside numbers, number words from zero to ten as digits. Then they must be equal.
2. To a truth of "yes" or "no", an answer that begins with yes or no gives that word: "No, there is none."
3. To a truth that is a number, an answer with exactly one number in it gives that number: "There are 3."
4. Several right answers are separated by "|"; one of them is enough. VQA's share of ten annotators becomes
   this by listing the answers that three or more of them gave, which are those that score in full.

Nothing else is forgiven: no synonyms, no parts of words, no judgement by another model.
"""

from __future__ import annotations

import re

from agent.answering.normalise import normalise

YES_NO = ("yes", "no")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


def is_right(answer: str, truth: str) -> bool:
    """Whether `answer` is `truth`, or one of them.

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
