"""Formats how well agreement recognises the pairs of a trace that say the same."""

from __future__ import annotations

from lab.agreement.judging import judge
from lab.agreement.tables import agreement_tables
from lab.grade.answer_pairs import AnswerPairs


def agreement_markdown(answers: AnswerPairs) -> str:
    """Returns a section with the figures by task and by arm, and the number of pairs without a label."""
    note = (
        f"Each arm's answers compared with those of {answers.reference}. Two right answers are the same, "
        "a right and a wrong one differ, two wrong ones are the same if they are equal."
    )
    left_out = ", ".join(f"{task} {count}" for task, count in answers.unlabelled.items()) or "none"
    parts = ["### Agreement", note, f"Left out because the truth does not show it: {left_out}."]
    if answers.pairs:
        parts.append(agreement_tables(answers.pairs, judge(answers.pairs)))
    return "\n" + "\n\n".join(parts).rstrip("\n") + "\n"
