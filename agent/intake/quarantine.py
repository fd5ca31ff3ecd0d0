"""Sets a query aside at which the agent crashed twice in a row.

1. After a crash, the queries that were in work are suspects, and are worked on one at a time.
2. A suspect that is in work at the next crash too is answered with an error and set aside.
3. Reading a message is work too: the broker sends a message again that the agent has not acknowledged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, TypeVar
from zlib import crc32

from agent.messages.mqtt_message import Message
from agent.messages.query import BadQuery
from agent.spool.dead_letters import DeadLetters
from agent.spool.spool import SpoolEntry
from agent.spool.under_way import UnderWay

T = TypeVar("T")
FINGERPRINT_BYTES = 1024


class SetAside(BadQuery):
    """The agent crashed twice in a row while it worked on the query."""

    def __init__(self) -> None:
        super().__init__(
            "internal",
            "the agent stopped twice while it worked on this query, and set it aside: "
            "send another image or question, and report this one",
        )


class Resumed(NamedTuple):
    """An entry to resume.

    Attributes:
        problem: why it is refused.
        alone: whether to wait for its reply before the next one.
    """

    entry: SpoolEntry
    problem: SetAside | None = None
    alone: bool = False


class Quarantine:
    """Knows from an earlier run which queries may crash the agent."""

    def __init__(self, under_way: UnderWay, dead_letters: DeadLetters) -> None:
        self._under_way = under_way
        self._dead_letters = dead_letters

    async def read(self, message: Message, read: Callable[[Message], T]) -> T:
        """Returns `read(message)`.

        Raises:
            SetAside: the agent crashed twice in `read`.
        """
        name = _fingerprint(message)
        if self._under_way.verdict(name) == "convicted":
            error = SetAside()
            await self._dead_letters.set_aside("query_set_aside", message.topic, str(error), message.payload)
            self._under_way.forget(name)
            raise error
        with self._under_way.work_on(name):
            return read(message)

    async def in_order(self, entries: list[SpoolEntry]) -> AsyncIterator[Resumed]:
        """Yields the entries of an earlier run, suspects last. Empties `entries`."""
        suspects = []
        while entries:
            entry = entries.pop(0)
            verdict = self._under_way.verdict(entry.key)
            if verdict == "suspect":
                suspects.append(entry)
            elif verdict == "convicted":
                error = SetAside()
                await self._dead_letters.set_aside("query_set_aside", entry.key, str(error), entry.payload)
                yield Resumed(entry, error)
                self._under_way.forget(entry.key)
            else:
                yield Resumed(entry)
        while suspects:
            yield Resumed(suspects.pop(0), alone=True)


def _fingerprint(message: Message) -> str:
    """Returns a name that a redelivery shares. It does not depend on all of a large payload."""
    payload = message.payload
    checksums = crc32(payload[:FINGERPRINT_BYTES]), crc32(payload[-FINGERPRINT_BYTES:])
    return f"{message.topic} {message.response_topic} {message.correlation!r} {len(payload)} {checksums}"
