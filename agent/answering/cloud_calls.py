"""Counts the calls that send pictures to the cloud, per camera and day of UTC.

1. A call is counted, and the count is stored, before anything is sent. If it cannot be stored, nothing is.
2. If the count was lost, no camera with a limit may send anything until the day ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timezone
from typing import Any, NamedTuple

from agent.spending.day_counts import DayCounts
from inarvl.errors import InarvlError


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

    Attributes:
        counts: the calls by counter.

    Args:
        save: stores a snapshot; raises InarvlError if it cannot.
        clock: returns seconds since 1970.
    """

    def __init__(
        self, save: Callable[[dict[str, Any]], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.counts = DayCounts(save, name="calls", zone=timezone.utc, clock=clock)

    def problem(self, camera: str, limits: Sequence[Limit]) -> CloudCallsSpent | None:
        """Returns why a picture may not be sent now; None if it may."""
        if limits and self.counts.lost:
            return CloudCallsSpent(
                f"how often camera {camera} used the cloud today was lost: only the board answers it until "
                "00:00 UTC"
            )
        for limit in limits:
            if self.counts.of(limit.counter) >= limit.per_day:
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
        try:
            await self.counts.add({limit.counter: 1 for limit in limits})
        except InarvlError as error:
            raise CloudCallsSpent(f"the cloud calls of camera {camera} cannot be counted: {error}") from error
