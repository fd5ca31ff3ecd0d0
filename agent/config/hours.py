"""Hours of the day, such as `22:00-06:00`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import Annotated

from pydantic import BeforeValidator

DAY_S = 86_400
FORM = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)")


@dataclass(frozen=True)
class Hours:
    """From `start_s` up to `end_s`, in seconds after midnight, in local time; it may go across midnight."""

    start_s: int
    end_s: int

    def contain(self, local: time) -> bool:
        """Returns whether a local time is within these hours.

        >>> [Hours(22 * 3600, 6 * 3600).contain(time(hour)) for hour in (21, 22, 0, 5, 6)]
        [False, True, True, True, False]
        """
        now_s = _seconds(local)
        if self.start_s < self.end_s:
            return self.start_s <= now_s < self.end_s
        return now_s >= self.start_s or now_s < self.end_s

    def begin_in_s(self, local: time) -> float:
        """Returns the seconds until these hours begin; 0 within them."""
        return 0.0 if self.contain(local) else (self.start_s - _seconds(local)) % DAY_S


def _seconds(local: time) -> float:
    return local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6


def _as_hours(value: object) -> object:
    if isinstance(value, Hours):
        return value
    found = FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be two times of the day, such as "22:00-06:00"')
    start_h, start_m, end_h, end_m = map(int, found.groups())
    start_s, end_s = start_h * 3600 + start_m * 60, end_h * 3600 + end_m * 60
    if max(start_s, end_s) > DAY_S:
        raise ValueError("the day ends at 24:00")
    if start_s % DAY_S == end_s % DAY_S:
        raise ValueError("begin and end are equal: leave `between` out for the whole day")
    return Hours(start_s % DAY_S, end_s)


HoursOfTheDay = Annotated[Hours, BeforeValidator(_as_hours)]
"""Two times of the day in a Section."""
