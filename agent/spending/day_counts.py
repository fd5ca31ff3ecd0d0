"""Amounts by name that begin again each day, and are stored before they are used.

1. An amount is added, and the amounts are stored, before it is used. If they cannot be stored, it is not.
2. If the clock goes back, the amounts stay; a later day begins with none.
3. If the amounts of an earlier run were lost, that is known until the day ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from typing import Any

import anyio
from anyio import to_thread

MAX_COUNTED = 4096  # names; all others share one amount
OTHERS = "*"


class DayCounts:
    """The amounts of the present day.

    Args:
        save: stores a snapshot; raises InarvlError if it cannot.
        name: of the amounts in a snapshot.
        zone: in which a day begins at 00:00; None for the local time.
        clock: returns seconds since 1970.
    """

    def __init__(
        self,
        save: Callable[[dict[str, Any]], None],
        *,
        name: str,
        zone: tzinfo | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._save = save
        self._name = name
        self._zone = zone
        self._clock = clock
        self._day = date.min
        self._amounts: dict[str, float] = {}
        self._lost_on = date.min
        self._saving = anyio.Lock()

    def today(self) -> date:
        """Returns the present day, which begins with no amounts."""
        today = datetime.fromtimestamp(self._clock(), self._zone).date()
        if today > self._day:
            self._day, self._amounts = today, {}
        return self._day

    @property
    def lost(self) -> bool:
        """Whether amounts of today were lost."""
        return self._lost_on == self.today()

    def of(self, counter: str) -> float:
        """Returns the amount of today."""
        self.today()
        return self._amounts.get(self._counted(counter), 0)

    def change(self, amounts: Mapping[str, float], *, day: date | None = None) -> None:
        """Adds amounts, which may be negative, without storing them.

        Args:
            day: to which they belong; None for the present one. Those of an earlier day are dropped.
        """
        if self.today() == (day or self._day):
            for counter, amount in amounts.items():
                name = self._counted(counter)
                self._amounts[name] = max(0, self._amounts.get(name, 0) + amount)

    async def add(self, amounts: Mapping[str, float]) -> None:
        """Adds amounts and stores them.

        Raises:
            InarvlError: they cannot be stored. They are then not added, and neither if this is cancelled.
        """
        day = self.today()
        self.change(amounts)
        try:
            await self.store()
        except BaseException:  # also if it is cancelled: then the amounts are not used
            self.change({counter: -amount for counter, amount in amounts.items()}, day=day)
            raise

    async def store(self) -> None:
        """Stores the amounts.

        Raises:
            InarvlError: they cannot be stored.
        """
        async with self._saving:
            await to_thread.run_sync(self._save, self.snapshot())

    def snapshot(self) -> dict[str, Any]:
        """Returns the day and its amounts, for JSON."""
        return {"day": self._day.isoformat(), self._name: dict(self._amounts)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restores the amounts of an earlier run.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is not a snapshot.
        """
        amounts: dict[str, float] = {}
        for name, value in snapshot[self._name].items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
                raise ValueError(f"the amount of {name} is not a number from 0")
            amounts[str(name)] = value
        self._day, self._amounts = date.fromisoformat(snapshot["day"]), amounts

    def lose(self) -> None:
        """Records that amounts of an earlier run are lost."""
        self._lost_on = self.today()

    def _counted(self, counter: str) -> str:
        known = counter in self._amounts or len(self._amounts) < MAX_COUNTED
        return counter if known else OTHERS
