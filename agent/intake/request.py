"""A valid query, independent of the protocol that it arrived over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.messages.explanation import AnyReply
from agent.messages.query import Query
from agent.messages.reply import Refusal
from agent.messages.topics import ANONYMOUS
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

OPEN = "claims"


@dataclass(frozen=True)
class Request:
    """A valid query that waits for its reply.

    Attributes:
        key: its name in the log, and in the spool if its front door uses one.
        reply: sends the reply, exactly one per request; returns when it is queued for sending.
        arrived_at, expires_at: seconds on the monotonic clock.
        allowed_s: seconds from when it was asked to `expires_at`; None if it was asked at its arrival.
        reserve_s: seconds before `expires_at` that sending the reply needs.
        query_id: the id that the sender chose; None if it chose none.
        correlation: text from the sender, returned inside the reply.
        resent: an earlier run of the agent may have replied too.
        verified: the broker vouches for `query.client`; otherwise it is only a claim.
        reply_to: where the reply goes, to tell senders apart that claim no name.
        weight: of its client's share; 1 for a request of the default priority.
    """

    key: str
    query: Query
    reply: Callable[[AnyReply], Awaitable[None]]
    arrived_at: float
    expires_at: float
    reserve_s: float = 0.0
    allowed_s: float | None = None
    query_id: str | None = None
    correlation: str | None = None
    resent: bool = False
    verified: bool = False
    reply_to: str = ""
    weight: float = 1.0

    @property
    def party(self) -> str:
        """Whose share of the capacity it uses: that of its client, or the one of all claimed names."""
        return party_of(self.query.client, verified=self.verified)

    @property
    def member(self) -> str:
        """Whose part of the party's share it uses."""
        if self.verified:
            return self.party
        return f"{OPEN} {self.reply_to if self.query.client == ANONYMOUS else self.query.client}"

    @property
    def cost(self) -> float:
        """How much of the share it uses."""
        return 1.0 / self.weight

    @property
    def due_at(self) -> float:
        """The time on the monotonic clock when its answer must be known, in seconds."""
        return self.expires_at - self.reserve_s

    def share_left(self, now: float) -> float:
        """Returns the share of its time that is left at `now`, from 1 when it was asked to 0."""
        allowed_s = self.expires_at - self.arrived_at if self.allowed_s is None else self.allowed_s
        return (self.expires_at - now) / allowed_s if allowed_s > 0 else 0.0

    async def refuse(self, error: InarvlError) -> None:
        """Replies with an error."""
        log.debug("query %s: refused: %s: %s", self.query.id, error.code, error)
        await self.reply(
            Refusal.of(error, query_id=self.query_id, resent=self.resent, correlation=self.correlation)
        )


def party_of(client: str, *, verified: bool) -> str:
    """Returns a name for the client, or for all clients whose name is only claimed."""
    return f"client {client}" if verified else OPEN
