"""Decides when a standing question is asked. It reads no clock and does no I/O.

1. Outside the hours of the question, it is not asked, and a trigger is ignored.
2. After `per_minute` askings within a minute, it waits until the oldest of them is a minute ago. A trigger
   waits with it; several count as one.
3. A trigger asks about the newest picture, also if it was asked about before.
4. Without a trigger, the same picture is asked about once only.
5. `every_s` counts from one asking to the next. The first picture is asked about immediately.
6. `on_change` compares with the picture at which the question was last answered, so that a slow change adds
   up. A picture that was compared and is alike is not compared again.
7. A refused question is asked again after a pause. A trigger is not repeated.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import time
from enum import Enum, auto

from agent.config.standing_question import When
from agent.watching.frame import changed_parts

MINUTE_S = 60.0
LONGEST_WAIT_S = 60.0  # the clock of the hours may be set in between


class Verdict(Enum):
    """Whether to ask now."""

    NO = auto()
    IF_CHANGED = auto()
    YES = auto()


class Schedule:
    """The askings of one question.

    Times are seconds on a monotonic clock; `local` is the local time of the day.
    """

    def __init__(self, when: When) -> None:
        self._when = when
        self._asked_at: deque[float] = deque(maxlen=when.per_minute or 1)
        self._period_from = -math.inf
        self._asked_frame: int | None = None
        self._alike_frame: int | None = None
        self._answered_scene: str | None = None
        self._triggered = False
        self._retry_at = -math.inf

    def trigger(self, local: time) -> None:
        """Records a message on the trigger topic."""
        if self._when.between is None or self._when.between.contain(local):
            self._triggered = True

    def verdict(self, frame: int, *, now: float, local: time) -> Verdict:
        """Returns whether to ask about the picture with this number."""
        if self.wait_s(now=now, local=local) > 0:
            return Verdict.NO
        if self._triggered:
            return Verdict.YES
        if frame == self._asked_frame:
            return Verdict.NO
        when = self._when
        if when.each_picture or (when.every_s is not None and now >= self._period_from + when.every_s):
            return Verdict.YES
        if when.on_change is None or frame == self._alike_frame:
            return Verdict.NO
        return Verdict.YES if self._answered_scene is None else Verdict.IF_CHANGED

    def changed(self, frame: int, scene: str) -> bool:
        """Returns whether a picture differs enough from the one at which the question was last answered."""
        assert self._answered_scene is not None
        assert self._when.on_change is not None
        differs = changed_parts(scene, self._answered_scene) >= self._when.on_change
        if not differs:
            self._alike_frame = frame
        return differs

    def ask(self, frame: int, *, now: float) -> None:
        """Records that the question is asked."""
        self._asked_at.append(now)
        self._period_from = now
        self._asked_frame = frame
        self._triggered = False

    def answer(self, scene: str) -> None:
        """Records that the question was answered; `scene` is the average hash of the picture."""
        self._answered_scene = scene

    def refuse(self, retry_at: float) -> None:
        """Records that the question was refused; it is not asked before `retry_at`."""
        self._asked_frame = None
        self._period_from = -math.inf
        self._retry_at = retry_at

    def wait_s(self, *, now: float, local: time) -> float:
        """Returns how long no picture is needed, in seconds; at most LONGEST_WAIT_S."""
        when, waits = self._when, [self._retry_at - now]
        if when.between is not None:
            waits.append(when.between.begin_in_s(local))
        if when.per_minute is not None and len(self._asked_at) == when.per_minute:
            waits.append(self._asked_at[0] + MINUTE_S - now)
        if not (self._triggered or when.each_picture or when.on_change is not None):
            waits.append(math.inf if when.every_s is None else self._period_from + when.every_s - now)
        return min(LONGEST_WAIT_S, max(0.0, *waits))
