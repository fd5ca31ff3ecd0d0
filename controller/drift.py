"""Alarms when the world is no longer what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller import snapshot

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class DriftEvent:
    """An alarm.

    Attributes:
        kind: `latency` of an arm; `content`, how often a skill's answers differ from the cloud's on questions
            that look alike; `quality`, how often they differ when it is just as sure of them.
        subject: the arm's id or the skill.
        direction: `up` when it became slower or worse, `down` when faster or better.
        at: when, on the clock that `now` is from.
    """

    kind: Literal["latency", "content", "quality"]
    subject: str
    direction: Direction
    at: float

    @property
    def text(self) -> str:
        """The event in words."""
        words = {
            ("latency", "up"): "slower than learned",
            ("latency", "down"): "faster than learned",
            ("content", "up"): "questions have become harder than they look",
            ("content", "down"): "questions have become easier than they look",
            ("quality", "up"): "differs from the cloud more often than its confidence says",
            ("quality", "down"): "differs from the cloud less often than its confidence says",
        }
        return f"{self.subject}: {words[self.kind, self.direction]}"


class PageHinkley:
    """Two-sided Page-Hinkley test on residuals, which have mean 0 while nothing changes.

    The sum of what exceeds `slack` since its last minimum alarms above `threshold` (Page 1954; Hinkley 1971).
    A residual counts for `clip` at most, so that it takes several to alarm.
    """

    def __init__(self, *, slack: float, threshold: float, clip: float) -> None:
        self._slack, self._threshold, self._clip = slack, threshold, clip
        self._up = self._down = 0.0

    def test(self, residual: float) -> Direction | None:
        """Take in one residual; the direction if that alarms, and begin anew.

        >>> detector = PageHinkley(slack=0.5, threshold=6.0, clip=4.0)
        >>> [detector.test(residual) for residual in (0.3, -0.9, 9.0, 3.9)]
        [None, None, None, 'up']
        """
        residual = max(-self._clip, min(self._clip, residual))
        self._up = max(0.0, self._up + residual - self._slack)
        self._down = max(0.0, self._down - residual - self._slack)
        if max(self._up, self._down) <= self._threshold:
            return None
        direction: Direction = "up" if self._up > self._down else "down"
        self._up = self._down = 0.0
        return direction

    def snapshot(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {"up": self._up, "down": self._down}

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError."""
        self._up, self._down = snapshot.number(held, "up"), snapshot.number(held, "down")
