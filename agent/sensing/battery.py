"""The battery's charge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil

from agent.sensing.sample import Sample, SensorAbsent


class Battery:
    """What psutil tells of the battery; `read` is its function of that."""

    name = "battery"

    def __init__(self, read: Callable[[], Any] = psutil.sensors_battery) -> None:
        self._read = read

    def sample(self) -> Sample:
        """Charge, and whether the board runs on it."""
        try:
            told = self._read()
        except (OSError, ValueError):  # a battery that is being unplugged
            told = None
        if told is None:
            raise SensorAbsent("no battery")
        on_battery = None if told.power_plugged is None else not told.power_plugged
        return Sample(battery_pct=min(100.0, max(0.0, float(told.percent))), on_battery=on_battery)

    def close(self) -> None:
        """Nothing is held."""
