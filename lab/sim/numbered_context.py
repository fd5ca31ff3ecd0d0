"""A context that also carries the number of its question."""

from __future__ import annotations

from dataclasses import dataclass

from controller import Context


@dataclass(frozen=True, kw_only=True)
class NumberedContext(Context):
    """What a policy sees of question `number` of a stream, counted from 0.

    Rivals look up under the number what was computed for all questions in advance; the controller ignores it.
    """

    number: int
