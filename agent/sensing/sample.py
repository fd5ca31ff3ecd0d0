"""What a source of readings gives at one time, and why it may give nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from inarvl.errors import InarvlError


class SensorAbsent(InarvlError):
    """This board has no such sensor; nothing is wrong."""

    code = "sensor_absent"


class SensorFault(InarvlError):
    """A sensor that should be there does not tell; the message says what to do."""

    code = "sensor_fault"


@dataclass(frozen=True)
class Sample:
    """Readings of one source at one time; None or left out where it does not tell.

    Attributes:
        power_w: what the board draws in all, as far as the source sees it.
        rails_w: what its parts draw, by the rail's name.
        cpu_load, gpu_load: share of all there is in use, 0 to 1.
        memory_available_mb: memory that can be taken without swapping, in MiB.
        temps_c: by the zone's name.
        battery_pct: charge left.
        on_battery: whether the battery is what feeds the board.
        clock_ratio, gpu_clock_ratio: the highest clock that is allowed now over the hardware's own.
        throttled: whether heat or power holds the clocks down.
        power_mode: name of the power mode (nvpmodel on a Jetson).
        fan_ratio: share of the fan's full speed.
        cpu_pressure, memory_pressure, io_pressure: share of the last ten seconds in which something waited
            for it.
    """

    power_w: float | None = None
    rails_w: Mapping[str, float] = field(default_factory=dict)
    cpu_load: float | None = None
    gpu_load: float | None = None
    memory_available_mb: float | None = None
    temps_c: Mapping[str, float] = field(default_factory=dict)
    battery_pct: float | None = None
    on_battery: bool | None = None
    clock_ratio: float | None = None
    gpu_clock_ratio: float | None = None
    throttled: bool | None = None
    power_mode: str | None = None
    fan_ratio: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None


class Sensor(Protocol):
    """A sensor, or several that are read together."""

    @property
    def name(self) -> str:
        """Tells it from the others in warnings and telemetry."""

    def sample(self) -> Sample:
        """Read it; may block, so it is called in a thread.

        Raises:
            SensorAbsent, SensorFault: it tells nothing now; it is tried again later.
        """

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True)
class PacedSensor:
    """A source and the seconds between its samples.

    Attributes:
        resolution_s: the least time about which its power says something; None for `every_s`.
    """

    sensor: Sensor
    every_s: float
    resolution_s: float | None = None
