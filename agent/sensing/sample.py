"""The interface of a sensor: what it returns, and the errors that it raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from inarvl.errors import InarvlError


class SensorAbsent(InarvlError):
    """The board has no such sensor; this is not a fault."""

    code = "sensor_absent"


class SensorFault(InarvlError):
    """A sensor that the board should have cannot be read; the message says what to do."""

    code = "sensor_fault"


@dataclass(frozen=True)
class Sample:
    """What one sensor read at one time. A value that it does not report is None or an empty mapping.

    Attributes:
        power_w: power of the whole board, as far as the sensor measures it.
        rails_w: power of its parts, by the rail's name.
        cpu_load, gpu_load: share in use, 0 to 1.
        memory_available_mb: memory that can be allocated without swapping, in MiB.
        temps_c: temperatures of the processor and its board, by the zone's name.
        part_temps_c: temperatures of disks, radios and other parts, which do not limit the models.
        battery_pct: charge of the board's batteries together.
        on_battery: whether the board runs on its battery.
        clock_ratio, gpu_clock_ratio: the highest clock allowed now, divided by the hardware's maximum.
        cpus_online: number of cores that are switched on.
        cpu_quota: share of these cores that the agent's container may use, 0 to 1.
        throttled: whether heat or a power limit lowers the clocks.
        power_mode: name of the power mode (nvpmodel on a Jetson).
        fan_ratio: share of the fan's full speed.
        cpu_pressure, memory_pressure, io_pressure: share of the last ten seconds in which at least one task
            waited for it.
    """

    power_w: float | None = None
    rails_w: Mapping[str, float] = field(default_factory=dict)
    cpu_load: float | None = None
    gpu_load: float | None = None
    memory_available_mb: float | None = None
    temps_c: Mapping[str, float] = field(default_factory=dict)
    part_temps_c: Mapping[str, float] = field(default_factory=dict)
    battery_pct: float | None = None
    on_battery: bool | None = None
    clock_ratio: float | None = None
    gpu_clock_ratio: float | None = None
    cpus_online: int | None = None
    cpu_quota: float | None = None
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
        """The sensor's name in logs and telemetry."""

    def sample(self) -> Sample:
        """Reads the sensor. It is called in a thread, because it may block.

        Raises:
            SensorAbsent: the board has no such sensor now; it is tried again later.
            SensorFault: the sensor cannot be read now; it is tried again later.
        """

    def close(self) -> None:
        """Releases the sensor's resources."""


@dataclass(frozen=True)
class PolledSensor:
    """A sensor with the time between its samples.

    Attributes:
        interval_s: seconds between samples.
        resolution_s: the shortest time over which its power is accurate, or a function that returns it; None
            for `interval_s`.
        stale_s: age above which its readings are no longer used; None for the default of `Readings`.
    """

    sensor: Sensor
    interval_s: float
    resolution_s: float | Callable[[], float] | None = None
    stale_s: float | None = None
