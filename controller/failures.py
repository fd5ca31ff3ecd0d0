"""How likely a server fails to answer."""

from __future__ import annotations

from typing import Final

CAPACITY: Final = 64
PRIOR_ANSWERS: Final = 2.0


class Failures:
    """Counts answers and failures of each server, halved with time: one that failed is tried again.

    Nothing of it is worth saving: it is stale after a minute.
    """

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._held: dict[str, tuple[float, float, float]] = {}  # answers, failures, when

    def chance(self, server: str, now: float) -> float:
        """Probability that the next call fails."""
        answers, failures = self._now(server, now)
        return failures / (PRIOR_ANSWERS + answers + failures)

    def learn(self, server: str, failed: bool, now: float) -> None:
        """Take in how a call ended."""
        answers, failures = self._now(server, now)
        # An answer tells that the server is back: what failed before it counts half.
        counts = (answers, failures + 1.0) if failed else (answers + 1.0, failures / 2)
        self._held.pop(server, None)
        if len(self._held) >= CAPACITY:
            self._held.pop(next(iter(self._held)))
        self._held[server] = (*counts, now)

    def _now(self, server: str, now: float) -> tuple[float, float]:
        held = self._held.get(server)
        if held is None:
            return 0.0, 0.0
        answers, failures, when = held
        kept = 0.5 ** (max(0.0, now - when) / self._half_life_s)
        return answers * kept, failures * kept
