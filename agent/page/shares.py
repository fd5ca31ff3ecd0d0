"""Where answers came from in each of the last minutes."""

from __future__ import annotations

from collections import deque

MINUTES = 60


class Shares:
    """Counts the answers of the board and of the cloud by minute, of the last MINUTES with an answer."""

    def __init__(self) -> None:
        self._minutes: deque[list[int]] = deque(maxlen=MINUTES)

    def add(self, now: float, *, on_board: bool) -> None:
        """Counts one answer.

        Args:
            now: seconds since 1970.
        """
        minute = int(now // 60) * 60
        if not self._minutes or self._minutes[-1][0] < minute:
            self._minutes.append([minute, 0, 0])
        self._minutes[-1][1 if on_board else 2] += 1

    def to_json(self) -> list[list[int]]:
        """Returns `[start of the minute in seconds since 1970, of the board, of the cloud]` for each."""
        return [list(minute) for minute in self._minutes]
