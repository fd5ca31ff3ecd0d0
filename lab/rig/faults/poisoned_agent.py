"""The agent, which is killed when it starts to answer the question POISON, as by a bug or for memory."""

from __future__ import annotations

import os
import signal

from agent.answering.question import Question, QuestionReader
from agent.cli.main import app
from agent.messages.query import Query

__all__ = ["POISON", "app"]

POISON = "Does this question kill the agent?"
read = QuestionReader.read


def read_or_die(self: QuestionReader, query: Query, *, verified: bool = False) -> Question:
    """Replaces `QuestionReader.read`."""
    if query.question == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, query, verified=verified)


setattr(QuestionReader, "read", read_or_die)  # noqa: B010 # a type checker refuses the assignment
