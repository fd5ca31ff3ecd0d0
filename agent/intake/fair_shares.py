"""Divides turns fairly between parties that wait (self-clocked fair queueing, Golestani 1994).

1. Each party has a start on a virtual clock. The party whose next turn would finish first is served, and its
   start moves by the cost of that turn. So parties that wait all the time get turns at the same cost.
2. A party that begins to wait starts at the present virtual time at the earliest: nobody saves turns up.
3. A party that is not known starts one turn later. Otherwise a sender with a new name for each message would
   always be first.
4. At most MAX_KNOWN parties are remembered while they do not wait: those with the most turns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import floor

MAX_KNOWN = 256


@dataclass
class _Party:
    start: float
    turns: int = 0


class FairShares:
    """The starts of the parties on the virtual clock."""

    def __init__(self) -> None:
        self._now = 0.0
        self._known: dict[str, _Party] = {}

    def begin(self, name: str, waiting: Collection[str]) -> None:
        """Records that a party begins to wait.

        Args:
            waiting: the parties that wait, this one too; they are not forgotten.
        """
        party = self._known.get(name)
        if party is None:
            self._forget(waiting)
            self._known[name] = _Party(self._now + 1.0)
        else:
            party.start = max(party.start, self._now)

    def first(self, costs: Mapping[str, float]) -> str:
        """Returns the waiting party whose turn it is.

        Args:
            costs: of the next turn of each waiting party.
        """
        return min(costs, key=lambda name: self._known[name].start + costs[name])

    def take(self, name: str, cost: float) -> None:
        """Records that a party takes its turn."""
        party = self._known[name]
        self._now = max(self._now, party.start)
        party.start += cost
        party.turns += 1

    def ahead(self, name: str, place: int, waiting: Mapping[str, int]) -> int:
        """Returns about how many turns of others come before a turn of one party, at cost 1 each.

        Args:
            place: the number of its own turns before that one.
            waiting: how many turns each waiting party needs.
        """
        start = self._start(name) + place
        return sum(
            min(count, max(0, floor(start - self._start(other)) + 1))
            for other, count in waiting.items()
            if other != name
        )

    def start_of(self, name: str) -> float:
        """Returns the start of a waiting party; a later one is served later."""
        return self._known[name].start

    def _start(self, name: str) -> float:
        party = self._known.get(name)
        return self._now + 1.0 if party is None else max(party.start, self._now)

    def _forget(self, waiting: Collection[str]) -> None:
        idle = [name for name in self._known if name not in waiting]
        if len(idle) >= MAX_KNOWN:
            del self._known[min(idle, key=lambda name: self._known[name].turns)]
