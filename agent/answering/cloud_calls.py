"""Counts the calls that send pictures to the cloud, per camera and day.

1. A call is counted, and the count is stored, before anything is sent. If it cannot be stored, nothing is.
2. Days are those of UTC. If the clock goes back, the count goes on; a later day begins a new one.
3. If the count was lost, no camera with a limit may send anything until the day ends.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

import anyio
from anyio import to_thread

from inarvl.errors import InarvlError

MAX_COUNTED = 4096  # cameras; all others share one count
OTHERS = "*"


class Limit(NamedTuple):
    """The most calls per day.

    Attributes:
        counter: name of what is counted.
    """

    counter: str
    per_day: int


class CloudCallsSpent(InarvlError):
    """The pictures of a camera may not go to the cloud any more today."""

    code = "cloud_calls_spent"


class CloudCalls:
    """The calls of the present day.

    Args:
        save: stores a snapshot; raises InarvlError if it cannot.
        clock: returns seconds since 1970.
    """

    def __init__(
        self, save: Callable[[dict[str, Any]], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._save = save
        self._clock = clock
        self._day = date.min
        self._calls: Counter[str] = Counter()
        self._lost_on = date.min
        self._saving = anyio.Lock()

    def problem(self, camera: str, limits: Sequence[Limit]) -> CloudCallsSpent | None:
        """Returns why a picture may not be sent now; None if it may."""
        self._begin_day()
        if limits and self._lost_on == self._day:
            return CloudCallsSpent(
                f"how often camera {camera} used the cloud today was lost: only the board answers it until "
                "00:00 UTC"
            )
        for limit in limits:
            if self._calls[self._counted(limit.counter)] >= limit.per_day:
                return CloudCallsSpent(
                    f"camera {camera} used its {limit.per_day} cloud calls of today: only the board answers "
                    "it until 00:00 UTC"
                )
        return None

    async def spend(self, camera: str, limits: Sequence[Limit]) -> None:
        """Counts one call, which may be made when this returns.

        Raises:
            CloudCallsSpent: it may not be made.
        """
        problem = self.problem(camera, limits)
        if problem is not None:
            raise problem
        if not limits:
            return
        day, counters = self._day, {self._counted(limit.counter) for limit in limits}
        self._calls.update(counters)
        try:
            async with self._saving:
                await to_thread.run_sync(self._save, self.snapshot())
        except InarvlError as error:
            if self._day == day:
                self._calls.subtract(counters)
            raise CloudCallsSpent(f"the cloud calls of camera {camera} cannot be counted: {error}") from error

    def snapshot(self) -> dict[str, Any]:
        """Returns the day and its counts, for JSON."""
        return {"day": self._day.isoformat(), "calls": dict(self._calls)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Takes over the counts of an earlier run.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no snapshot.
        """
        calls = {str(name): int(number) for name, number in snapshot["calls"].items()}
        if any(number < 0 for number in calls.values()):
            raise ValueError("a count is below 0")
        self._day, self._calls = date.fromisoformat(snapshot["day"]), Counter(calls)

    def lose(self) -> None:
        """Records that the counts of an earlier run are lost."""
        self._begin_day()
        self._lost_on = self._day

    def _counted(self, counter: str) -> str:
        known = counter in self._calls or len(self._calls) < MAX_COUNTED
        return counter if known else OTHERS

    def _begin_day(self) -> None:
        today = datetime.fromtimestamp(self._clock(), timezone.utc).date()
        if today > self._day:
            self._day, self._calls = today, Counter()
