"""A circuit breaker: keeps calls away from a server that does not answer.

1. Closed: calls are made. An unreachable server opens it at once, LATE_IN_A_ROW late calls do too.
2. Open: no calls. Its owner probes the server, less often each time it opens again.
3. Half open, after a passed probe: a few calls at a time. An answer closes it, anything else opens it again.
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
        opened: how many times it opened since the last answer.

    Args:
        trials: calls at a time while it is half open.
    """

    def __init__(self, trials: int = TRIALS) -> None:
        self._trials = trials
        self.state: State = "closed"
        self.opened = 0
        self._late = 0
        self._open_calls = 0

    def allows(self) -> bool:
        """Whether a call may be made now."""
        return self.state == "closed" or (self.state == "half open" and self._open_calls < self._trials)

    def began(self) -> None:
        """A call has begun."""
        self._open_calls += 1

    def ended(self, how: Ended) -> bool:
        """Record how a call ended; returns True if that opened the breaker."""
        self._open_calls -= 1
        if how == "dropped":  # by the agent, through no fault of the server
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
        """The server passed a probe."""
        if self.state == "open":
            self.state = "half open"
