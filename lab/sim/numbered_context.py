"""A context that also carries the number of its question."""

from __future__ import annotations

from dataclasses import dataclass

from controller import Context


@dataclass(frozen=True, kw_only=True)
class NumberedContext(Context):
    """The context of question `number` of a workload, counted from 0.

    Rivals use the number to look up what is computed for all questions in advance; the controller ignores it.
    """

    number: int
