"""A query on its way through the agent."""

from __future__ import annotations

from dataclasses import dataclass

from agent.messages.address import Address
from agent.messages.query import Query


@dataclass(frozen=True)
class Job:
    """A query that stands in the spool and waits for its answer.

    Attributes:
        key: names it in the spool.
        arrived_at, expires_at: seconds on the monotonic clock.
        resent: a run before a restart may have answered it too.
        reserve_s: what its reply will need of its time.
    """

    key: str
    query: Query
    address: Address
    arrived_at: float
    expires_at: float
    resent: bool = False
    reserve_s: float = 0.0

    @property
    def due_at(self) -> float:
        """When its answer must be known."""
        return self.expires_at - self.reserve_s
