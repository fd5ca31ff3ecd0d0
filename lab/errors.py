"""Errors of the lab."""

from __future__ import annotations

from inarvl.errors import InarvlError


class BenchError(InarvlError):
    """Base class of the lab's errors."""

    code = "bench"


class TraceError(BenchError):
    """A trace file that cannot be read; the message names the line and the column."""

    code = "trace"


class QuestionsError(BenchError):
    """An invalid set of questions; the message says what to correct."""

    code = "questions"
