"""What can go wrong with an evaluation."""

from __future__ import annotations

from inarvl.errors import InarvlError


class BenchError(InarvlError):
    """The root of this package's errors."""

    code = "bench"


class TraceError(BenchError):
    """A trace file that cannot be read; the message names the line and the column."""

    code = "trace"


class QuestionsError(BenchError):
    """A set of questions that cannot be asked; the message says what to mend."""

    code = "questions"
