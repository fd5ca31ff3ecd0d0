"""Whether an answer in free words is right, wrong, or neither for certain.

`lab.trace.scoring` calls an answer right only if it is the truth, which is too strict for models that answer
in sentences. To measure agreement, two answers are labelled only if both have a verdict:

1. An answer that is right by `lab.trace.scoring` is right.
2. If the truth is yes or no, an answer that begins with the other word is wrong. Any other answer is unclear,
   because reading it is what agreement is measured on.
3. If the truth is a number, an answer with numbers but without this one is wrong. An answer with this and
   other numbers, or without any, is unclear.
4. Any other answer is right if it contains the truth in whole words, as is usual for text in images
   (OCRBench, Liu et al. 2024, arXiv 2305.07895). It is unclear if the truth is negated there, or contains the
   answer. Otherwise it is wrong.
"""

from __future__ import annotations

import re

from agent.answering.normalise import normalise
from lab.trace.scoring import NUMBER, YES_NO, is_right

NEGATIONS = {"not", "no", "isnt", "arent", "wasnt", "werent", "cannot", "never", "than", "instead"}


def verdict(answer: str, truth: str) -> bool | None:
    """Returns whether `answer` is right, or None if that is unclear; several truths are separated by "|".

    >>> verdict("The van is red.", "red"), verdict("It is blue.", "red"), verdict("not red", "red")
    (True, False, None)
    >>> verdict("There is none.", "no"), verdict("There are 4 or 5.", "4"), verdict("There are 5.", "4")
    (None, None, False)
    """
    if is_right(answer, truth):
        return True
    found = [_verdict(normalise(answer), normalise(one)) for one in truth.split("|")]
    return True if True in found else None if None in found else False


def claim_of(answer: str, truth: str) -> str:
    """Returns what two wrong answers must share to be the same: yes or no, the only number, or all words.

    >>> claim_of("Yes, there is.", "no"), claim_of("There are 5.", "4"), claim_of("It is blue.", "red")
    ('yes', '5', 'it is blue')
    """
    text, truth = normalise(answer), normalise(truth.split("|")[0])
    if truth in YES_NO and _first(text) in YES_NO:
        return _first(text)
    numbers = NUMBER.findall(text)
    return numbers[0] if NUMBER.fullmatch(truth) and len(numbers) == 1 else text


def _verdict(answer: str, truth: str) -> bool | None:
    if truth in YES_NO:
        return False if _first(answer) in YES_NO else None
    if NUMBER.fullmatch(truth):
        numbers = NUMBER.findall(answer)
        return None if not numbers or truth in numbers else False
    words, right = answer.split(), truth.split()
    places = [at for at in range(len(words)) if right and words[at : at + len(right)] == right]
    if places:
        return None if any(NEGATIONS & set(words[max(0, at - 2) : at]) for at in places) else True
    return None if words and f" {answer} " in f" {truth} " else False


def _first(text: str) -> str:
    return re.split(r"\W+", text, maxsplit=1)[0]
