"""A circuit breaker: stops calls to a server that does not answer.

1. Closed: calls are made. A call that cannot reach the server opens it, and so do LATE_IN_A_ROW late calls
   in a row.
2. Open: no calls. The registry probes the server, less often each time the breaker opens again.
3. Half open, after a passed probe: a few calls at a time. An answered call closes it; a late or unreachable
   one opens it again.
"""

from __future__ import annotations

from typing import Literal

Ended = Literal["answered", "late", "unreachable", "dropped"]
State = Literal["closed", "open", "half open"]
LATE_IN_A_ROW = 3
TRIALS = 3


class Breaker:
    """Counts how calls to one server end.

    Attributes:
        state: closed, open or half open.
        opened: number of times that it opened since the last answered call.

    Args:
        trials: maximum number of calls in flight while it is half open.
    """

    def __init__(self, trials: int = TRIALS) -> None:
        self._trials = trials
        self.state: State = "closed"
        self.opened = 0
        self._late = 0
        self._open_calls = 0

    def allows(self) -> bool:
        """Returns whether a call may be made now."""
        return self.state == "closed" or (self.state == "half open" and self._open_calls < self._trials)

    def began(self) -> None:
        """Records that a call has begun."""
        self._open_calls += 1

    def ended(self, how: Ended) -> bool:
        """Records how a call ended; returns whether that opened the breaker."""
        self._open_calls -= 1
        if how == "dropped":  # by the agent; says nothing about the server
            return False
        if how == "answered":
            self._late = self.opened = 0
            if self.state == "half open":
                self.state = "closed"
            return False
        self._late += 1
        if self.state == "open" or (self.state == "closed" and how == "late" and self._late < LATE_IN_A_ROW):
            return False
        self.state = "open"
        self.opened += 1
        return True

    def probed(self) -> None:
        """Records that the server passed a probe."""
        if self.state == "open":
            self.state = "half open"
