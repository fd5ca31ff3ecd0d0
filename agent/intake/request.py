"""A query on its way through the agent, whichever front door it came through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.messages.query import Query
from agent.messages.reply import Refusal, Reply
from inarvl.errors import InarvlError


@dataclass(frozen=True)
class Request:
    """A valid query that waits for its reply.

    Attributes:
        key: names it in the log, and in the spool where its front door keeps one.
        reply: sends the reply, exactly one per request; returns when the front door has it safe.
        arrived_at, expires_at: seconds on the monotonic clock.
        reserve_s: seconds before `expires_at` that sending the reply needs.
        query_id: the id that the sender chose; None when it chose none.
        correlation: text of the sender's to be returned inside the reply.
        resent: an earlier run of the agent may have replied too.
    """

    key: str
    query: Query
    reply: Callable[[Reply], Awaitable[None]]
    arrived_at: float
    expires_at: float
    reserve_s: float = 0.0
    query_id: str | None = None
    correlation: str | None = None
    resent: bool = False

    @property
    def due_at(self) -> float:
        """When its answer must be known."""
        return self.expires_at - self.reserve_s

    async def refuse(self, error: InarvlError) -> None:
        """Reply with an error."""
        await self.reply(
            Refusal.of(error, query_id=self.query_id, resent=self.resent, correlation=self.correlation)
        )
