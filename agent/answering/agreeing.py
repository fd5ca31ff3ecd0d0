"""Whether two answers to a query say the same, as a label to learn from."""

from __future__ import annotations

from agent.agreement.agreement import agreement
from agent.answering.normalise import normalise
from agent.messages.query import Query


def p_same(query: Query, one: str, other: str) -> float:
    """Returns the probability that two answers say the same; 1 if they are equal after normalisation."""
    if normalise(one) == normalise(other):
        return 1.0
    return agreement(query.question, query.form, one, other).p_same
