"""What the calls of the day have cost, and the caps on it.

1. Before a call, the most that it can be expected to cost is reserved; after it, what it has cost counts.
2. A call that might exceed a cap is not made until the day ends, at 00:00 local time. Calls without a price
   are not limited.
3. If a cap applies, a reservation is stored before anything is sent. If it cannot be stored, nothing is.
   After a crash the reservations of the calls under way count.
4. If the amounts of the day were lost, calls with a price are not made where a cap applies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, NamedTuple, get_args

from agent.config.spend_settings import SpendSettings
from agent.spending.day_counts import DayCounts
from inarvl.errors import InarvlError

Purpose = Literal["answer", "audit", "comparison", "judge", "sight"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)
ALL: Final = "all calls"
STORE_EVERY_S: Final = 10.0
UNTIL: Final = "models with a price are not asked until 00:00 local time"


class SpendLimit(NamedTuple):
    """The most that the calls for a camera may cost per day.

    Attributes:
        name: of the camera, or of several that share the limit.
    """

    name: str
    per_day: float


class SpendCapReached(InarvlError):
    """A call may cost more than a cap allows."""

    code = "spend_cap_reached"


class Reservation(NamedTuple):
    """An amount that counts until the call has ended."""

    day: date
    counters: tuple[str, ...]
    amount: float


@dataclass(frozen=True)
class SpendReport:
    """What was spent today.

    Attributes:
        today: with the reservations of the calls under way.
        per_day: the cap of the board; None for none.
        purposes: of `today`, by purpose of the calls.
    """

    currency: str
    today: float
    per_day: float | None
    purposes: Mapping[str, float]


class Spend:
    """The spend of the present day.

    Attributes:
        counts: the amounts by counter.

    Args:
        save: stores a snapshot; raises InarvlError if it cannot.
        reached: called once a day for each cap that stops calls, with a message.
        clock: returns seconds since 1970.
    """

    def __init__(
        self,
        settings: SpendSettings,
        save: Callable[[dict[str, Any]], None],
        *,
        reached: Callable[[str], None] = lambda _message: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts = DayCounts(save, name="spent", zone=None, clock=clock)
        self._settings = settings
        self._reached = reached
        self._reported: set[tuple[date, str]] = set()
        self._clock = clock
        self._stored_at = -STORE_EVERY_S

    def apply(self, settings: SpendSettings) -> None:
        """Applies a changed cap or currency; in another currency the day begins with no amounts."""
        self._settings = settings

    def limited(self, limits: Sequence[SpendLimit] = ()) -> bool:
        """Returns whether a cap applies."""
        return bool(limits) or self._settings.per_day is not None

    def problem(self, amount: float, limits: Sequence[SpendLimit] = ()) -> SpendCapReached | None:
        """Returns why a call that may cost `amount` is not made; None if it may be made."""
        if amount <= 0 or not self.limited(limits):
            return None
        if self.counts.lost:
            return SpendCapReached(f"what was spent today was lost: {UNTIL}")
        currency, cap = self._settings.currency, self._settings.per_day
        caps = [(ALL, "the board", cap)] if cap is not None else []
        caps += [(f"camera {name}", f"camera {name}", per_day) for name, per_day in limits]
        for name, spender, per_day in caps:
            spent = self._of(name)
            if spent + amount > per_day:
                message = (
                    f"{spender} has spent {spent:.4g} of {per_day:g} {currency} today, and the call may cost "
                    f"{amount:.4g}: {UNTIL}"
                )
                self._report(name, message)
                return SpendCapReached(message)
        return None

    async def reserve(self, amount: float, limits: Sequence[SpendLimit], purpose: Purpose) -> Reservation:
        """Reserves the most that a call may cost; the call may be made when this returns.

        Raises:
            SpendCapReached: it may not be made.
        """
        if (problem := self.problem(amount, limits)) is not None:
            raise problem
        names = (ALL, f"for {purpose}", *(f"camera {limit.name}" for limit in limits))
        reservation = Reservation(self.counts.today(), tuple(map(self._counter, names)), amount)
        amounts = dict.fromkeys(reservation.counters, amount)
        if self.limited(limits):
            try:
                await self.counts.add(amounts)
            except InarvlError as error:
                raise SpendCapReached(f"what the call costs cannot be stored: {error}") from error
            return reservation
        self.counts.change(amounts)
        if self._clock() - self._stored_at >= STORE_EVERY_S:
            self._stored_at = self._clock()
            await self.store()
        return reservation

    def settle(self, reservation: Reservation, amount: float) -> None:
        """Replaces a reservation by what the call has cost."""
        difference = amount - reservation.amount
        self.counts.change(dict.fromkeys(reservation.counters, difference), day=reservation.day)

    def add(self, amount: float, purpose: Purpose) -> None:
        """Adds what a call has cost for which nothing was reserved."""
        names = (ALL, f"for {purpose}")
        self.counts.change(dict.fromkeys(map(self._counter, names), amount))

    async def store(self) -> None:
        """Stores the amounts, if the disk can."""
        with suppress(InarvlError):
            await self.counts.store()

    def report(self) -> SpendReport:
        """Returns the amounts of today."""
        purposes = {str(purpose): round(self._of(f"for {purpose}"), 9) for purpose in PURPOSES}
        return SpendReport(self._settings.currency, round(self._of(ALL), 9), self._settings.per_day, purposes)

    def _of(self, name: str) -> float:
        return self.counts.of(self._counter(name))

    def _counter(self, name: str) -> str:
        return f"{self._settings.currency} {name}"

    def _report(self, name: str, message: str) -> None:
        key = (self.counts.today(), name)
        if key not in self._reported:
            self._reported = {known for known in self._reported if known[0] == key[0]} | {key}
            self._reached(message)
