"""The board's own state, read at a steady pace."""

from __future__ import annotations

import psutil
from anyio import sleep

from controller.context import DeviceState

HOTTEST_PLAUSIBLE_C = 150.0


class Sensing:
    """Keeps the latest readings; what this board does not tell stays None."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._state = DeviceState()

    @property
    def state(self) -> DeviceState:
        """The latest readings."""
        return self._state

    async def run(self) -> None:
        """Read for ever."""
        psutil.cpu_percent()  # its first reading is void
        while True:
            await sleep(self._every_s)
            self._state = read()


def read() -> DeviceState:
    """One reading, of which the CPU load covers the time since the last one."""
    clock = psutil.cpu_freq()
    battery = psutil.sensors_battery()
    temperatures = [
        sensor.current
        for sensors in psutil.sensors_temperatures().values()
        for sensor in sensors
        if 0 < sensor.current < HOTTEST_PLAUSIBLE_C
    ]
    return DeviceState(
        cpu_load=psutil.cpu_percent() / 100,
        memory_available_mb=psutil.virtual_memory().available / 2**20,
        temp_c=max(temperatures, default=None),
        battery_pct=battery.percent if battery else None,
        clock_ratio=min(1.0, clock.current / clock.max) if clock and clock.max else None,
    )
