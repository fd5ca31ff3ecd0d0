"""Temperatures and thermal throttling, from the kernel's thermal framework and hwmon."""

from __future__ import annotations

from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.sample import Sample, SensorAbsent

MIN_C, MAX_C = -40.0, 150.0  # other readings are invalid: -256 is an offline zone on a Jetson
# hwmon chips that report the processor's temperature.
PROCESSOR_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
# Zones to ignore: the PMIC of older Jetsons always reads 100, the others are not the processor.
IGNORED_ZONES = ("pmic", "iwlwifi", "nvme")
# Parts of the types of cooling devices that lower a clock: cpufreq and devfreq cooling, ACPI processors, and
# the throttle alerts of Jetsons. Fans and the alerts of a hot surface do not.
CLOCK_COOLING = ("cpufreq", "devfreq", "processor", "throttle", "balanced")
# Bits for the present state in get_throttled of the Raspberry Pi firmware: under-voltage, frequency capped,
# throttled, soft temperature limit.
PI_THROTTLED_NOW = 0xF


class Thermal:
    """Every thermal zone, or on a machine without zones the processor's hwmon chips."""

    name = "thermal"

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        self._sysfs = sysfs

    def sample(self) -> Sample:
        """Reads the temperatures, and whether a cooling device lowers a clock."""
        temps_c = self._zones() or self._chips()
        throttled = self._throttled()
        if not temps_c and throttled is None:
            raise SensorAbsent(
                f"no temperature under {self._sysfs}/class/thermal or {self._sysfs}/class/hwmon"
            )
        return Sample(temps_c=temps_c, throttled=throttled)

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _zones(self) -> dict[str, float]:
        zones = {}
        for zone in folders(self._sysfs / "class" / "thermal", "thermal_zone*"):
            name, temp_c = text(zone / "type") or zone.name, plausible_c(number(zone / "temp"), 1e-3)
            if temp_c is not None and not name.lower().startswith(IGNORED_ZONES):
                zones[name] = temp_c
        return zones

    def _chips(self) -> dict[str, float]:
        chips = {}
        for chip in folders(self._sysfs / "class" / "hwmon", "hwmon*"):
            name = text(chip / "name")
            if name not in PROCESSOR_CHIPS:
                continue
            for path in sorted(chip.glob("temp*_input")):
                temp_c = plausible_c(number(path), 1e-3)
                if temp_c is not None:
                    label = text(chip / path.name.replace("_input", "_label")) or path.name[:-6]
                    chips[f"{name} {label}"] = temp_c
        return chips

    def _throttled(self) -> bool | None:
        """Whether a cooling device lowers a clock now; None if the board has no such device."""
        firmware = self._sysfs / "devices" / "platform" / "soc" / "soc:firmware" / "get_throttled"
        flags = text(firmware)
        if flags:
            try:
                return bool(int(flags, 16) & PI_THROTTLED_NOW)
            except ValueError:
                pass
        states = [
            number(device / "cur_state")
            for device in folders(self._sysfs / "class" / "thermal", "cooling_device*")
            if any(word in (text(device / "type") or "").lower() for word in CLOCK_COOLING)
        ]
        known = [state for state in states if state is not None]
        return any(state > 0 for state in known) if known else None


def plausible_c(reading: float | None, scale: float) -> float | None:
    """Returns `reading` times `scale` in degrees Celsius; None if that is not a plausible temperature."""
    if reading is None:
        return None
    temp_c = reading * scale
    return temp_c if MIN_C < temp_c < MAX_C else None
