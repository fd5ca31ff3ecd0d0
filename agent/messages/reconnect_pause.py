"""How long to wait before connecting to the broker again.

1. Ordinarily from MIN_S, doubled up to MAX_S while the broker cannot be reached.
2. STAND_BACK_S if another client with the same name has taken the session over: two clients that both
   reconnect immediately would keep disconnecting each other.
3. Not every broker reports it (mosquitto 2.0 does not, if the session is kept). If it closes SHORT_IN_A_ROW
   connections in a row without a reason, each within SHORT_S, and every attempt to connect succeeds, then
   another client has the name. Of two such clients, one counts to that number first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MIN_S, MAX_S = 1, 5  # after an outage, many queries have less than half a minute left
STAND_BACK_S = 600
SHORT_IN_A_ROW, SHORT_S = 5, 10.0
SESSION_TAKEN_OVER = 142  # MQTT 5, section 3.14.2.1


class ReconnectPause:
    """Notices when another client has the same name."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._connected_at: float | None = None
        self._short = 0

    def connected(self) -> None:
        """Records that the broker has accepted a connection."""
        self._connected_at = self._clock()

    def failed(self) -> None:
        """Records that an attempt to connect has failed."""
        self._connected_at, self._short = None, 0

    def taken_over(self, reason: int | None) -> bool:
        """Records that the connection was lost; returns whether another client has the name.

        Args:
            reason: the reason code of the broker; None if it has closed the connection without one.
        """
        lasted_s = None if self._connected_at is None else self._clock() - self._connected_at
        short = reason is None and lasted_s is not None and lasted_s < SHORT_S
        self._connected_at, self._short = None, self._short + 1 if short else 0
        return reason == SESSION_TAKEN_OVER or self._short >= SHORT_IN_A_ROW
