"""Temperatures, and whether heat holds the clocks down, from the kernel's thermal framework and hwmon."""

from __future__ import annotations

from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.sample import Sample, SensorAbsent

COLDEST_C, HOTTEST_C = (
    -40.0,
    150.0,
)  # beyond which a reading is no temperature: -256 is an offline zone on a Jetson
CHIPS = (
    "coretemp",
    "k10temp",
    "zenpower",
    "cpu_thermal",
)  # hwmon chips that tell the processor's temperature
ELSEWHERE = (
    "pmic",
    "iwlwifi",
    "nvme",
)  # a PMIC of older Jetsons reads 100 for ever; the others are no processor
# Words in the types of cooling devices that hold a clock down: cpufreq and devfreq cooling, ACPI processors,
# and the throttle alerts of Jetsons. Fans, and alerts of a hot surface, do not.
BRAKES = ("cpufreq", "devfreq", "processor", "throttle", "balanced")
# Bits of the Raspberry Pi firmware's get_throttled that speak of now: under-voltage, capped, throttled, soft
# limit.
PI_NOW = 0xF


class Thermal:
    """Every thermal zone, or where there is none the processor's hwmon chips."""

    name = "thermal"

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        self._sysfs = sysfs

    def sample(self) -> Sample:
        """Temperatures by zone, and throttling where a cooling device tells of it."""
        temps_c = self._zones() or self._chips()
        throttled = self._throttled()
        if not temps_c and throttled is None:
            raise SensorAbsent(
                f"no temperature under {self._sysfs}/class/thermal or {self._sysfs}/class/hwmon"
            )
        return Sample(temps_c=temps_c, throttled=throttled)

    def close(self) -> None:
        """Nothing is held."""

    def _zones(self) -> dict[str, float]:
        zones = {}
        for zone in folders(self._sysfs / "class" / "thermal", "thermal_zone*"):
            name, temp_c = text(zone / "type") or zone.name, plausible_c(number(zone / "temp"), 1e-3)
            if temp_c is not None and not name.lower().startswith(ELSEWHERE):
                zones[name] = temp_c
        return zones

    def _chips(self) -> dict[str, float]:
        chips = {}
        for chip in folders(self._sysfs / "class" / "hwmon", "hwmon*"):
            name = text(chip / "name")
            if name not in CHIPS:
                continue
            for path in sorted(chip.glob("temp*_input")):
                temp_c = plausible_c(number(path), 1e-3)
                if temp_c is not None:
                    label = text(chip / path.name.replace("_input", "_label")) or path.name[:-6]
                    chips[f"{name} {label}"] = temp_c
        return chips

    def _throttled(self) -> bool | None:
        """Whether a cooling device that slows something down is in use; None when there is no such device."""
        firmware = self._sysfs / "devices" / "platform" / "soc" / "soc:firmware" / "get_throttled"
        told = text(firmware)
        if told:
            try:
                return bool(int(told, 16) & PI_NOW)
            except ValueError:
                pass
        states = [
            number(device / "cur_state")
            for device in folders(self._sysfs / "class" / "thermal", "cooling_device*")
            if any(word in (text(device / "type") or "").lower() for word in BRAKES)
        ]
        known = [state for state in states if state is not None]
        return any(state > 0 for state in known) if known else None


def plausible_c(reading: float | None, scale: float) -> float | None:
    """`reading` times `scale` when that can be a temperature in degrees Celsius."""
    if reading is None:
        return None
    temp_c = reading * scale
    return temp_c if COLDEST_C < temp_c < HOTTEST_C else None
