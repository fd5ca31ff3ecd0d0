"""A circuit breaker: stops calls to a server that does not answer.

1. Closed: calls are made. A call that cannot reach the server opens it, and so do LATE_IN_A_ROW late calls
   in a row, and failures of the server (status 5xx, or a reply that cannot be read) with FAILED_IN_A_ROW
   different questions in a row: one question may be the cause itself.
2. Open: no calls. The registry probes the server, less often each time the breaker opens again.
3. Half open, after a passed probe: a few calls at a time. An answered call closes it; a late, unreachable or
   failed one opens it again.
4. A call that the server refuses because of the caller (key, permission, credit, quota) opens it too. It is
   then half open for one call at a time.
"""

from __future__ import annotations

from typing import Literal

Ended = Literal["answered", "late", "unreachable", "failed", "refused", "dropped"]
State = Literal["closed", "open", "half open"]
LATE_IN_A_ROW = 3
FAILED_IN_A_ROW = 3
TRIALS = 3


class Breaker:
    """Counts how calls to one server end.

    Attributes:
        state: closed, open or half open.
        opened: number of times that it opened since the last answered call.
        refusals: how many of these times the server refused the caller.
        open_calls: number of calls in flight.

    Args:
        trials: maximum number of calls in flight while it is half open.
    """

    def __init__(self, trials: int = TRIALS) -> None:
        self._trials = trials
        self.state: State = "closed"
        self.opened = 0
        self.refusals = 0
        self._late = 0
        self._failed: set[str] = set()
        self.open_calls = 0

    def allows(self) -> bool:
        """Returns whether a call may be made now."""
        trials = 1 if self.refusals else self._trials
        return self.state == "closed" or (self.state == "half open" and self.open_calls < trials)

    def began(self) -> None:
        """Records that a call has begun."""
        self.open_calls += 1

    def ended(self, how: Ended, question: str = "") -> bool:
        """Records how a call ended; returns whether that opened the breaker.

        Args:
            question: identifies the question of the call.
        """
        self.open_calls -= 1
        if how == "dropped":  # by the agent, or because of the question; says nothing about the server
            return False
        if how == "answered":
            self._late = self.opened = self.refusals = 0
            self._failed.clear()
            if self.state == "half open":
                self.state = "closed"
            return False
        if how == "failed":
            self._failed.add(question)
        else:
            self._late += 1
        return self._must_open(how) and self.open(refused=how == "refused")

    def open(self, *, refused: bool = False) -> bool:
        """Stops calls until the next passed probe; returns whether it was not open already."""
        if self.state == "open":
            return False
        self.state = "open"
        self.opened += 1
        self.refusals += refused
        self._failed.clear()
        return True

    def check_refused(self) -> None:
        """Records that the server refused the caller in a check."""
        self.open()
        self.refusals += 1

    def probed(self) -> None:
        """Records that the server passed a probe."""
        if self.state == "open":
            self.state = "half open"

    def _must_open(self, how: Ended) -> bool:
        if self.state == "half open" or how in ("unreachable", "refused"):
            return True
        return self._late >= LATE_IN_A_ROW if how == "late" else len(self._failed) >= FAILED_IN_A_ROW
