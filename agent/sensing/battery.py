"""The charge of the battery, from psutil."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil

from agent.sensing.sample import Sample, SensorAbsent


class Battery:
    """Charge of the battery, and whether it powers the board.

    Args:
        read: returns the battery as `psutil.sensors_battery` does.
    """

    name = "battery"

    def __init__(self, read: Callable[[], Any] = psutil.sensors_battery) -> None:
        self._read = read

    def sample(self) -> Sample:
        """Reads the charge and the source of power."""
        try:
            battery = self._read()
        except (OSError, ValueError):  # the battery is being unplugged
            battery = None
        if battery is None:
            raise SensorAbsent("no battery")
        on_battery = None if battery.power_plugged is None else not battery.power_plugged
        return Sample(battery_pct=min(100.0, max(0.0, float(battery.percent))), on_battery=on_battery)

    def close(self) -> None:
        """Does nothing: no resources are kept."""
