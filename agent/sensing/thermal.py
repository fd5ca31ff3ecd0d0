"""Temperatures and thermal throttling, from the kernel's thermal framework and hwmon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.nvidia import Card, NvidiaCards
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.zones import PART, names_board, split_zones

MIN_C, MAX_C = -40.0, 150.0  # other readings are invalid: -256 is an offline zone on a Jetson
# hwmon chips that report the processor's temperature.
PROCESSOR_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
# Parts of the types of cooling devices that lower a clock: cpufreq and devfreq cooling, ACPI processors, and
# the throttle alerts of Jetsons. Fans and the alerts of a hot surface do not.
CLOCK_COOLING = ("cpufreq", "devfreq", "processor", "throttle", "balanced")
# Bits for the present state in get_throttled of the Raspberry Pi firmware: under-voltage, frequency capped,
# throttled, soft temperature limit.
PI_THROTTLED_NOW = 0xF


class Thermal:
    """The thermal zones, or without a zone of the processor its hwmon chips; disks and radios apart.

    Args:
        cards: the NVIDIA cards of the PC.
    """

    name = "thermal"

    def __init__(self, *, sysfs: Path = Path("/sys"), cards: NvidiaCards | None = None) -> None:
        self._sysfs = sysfs
        self._cards = cards

    def sample(self) -> Sample:
        """Reads the temperatures, and whether a cooling device lowers a clock."""
        zones = self._zones()
        chips = {} if names_board(zones) else self._chips(lambda name: name in PROCESSOR_CHIPS)
        temps_c, part_temps_c = split_zones({**zones, **chips})
        part_temps_c.update(self._chips(lambda name: bool(PART.search(name))))
        cards = self._read_cards()
        temps_c.update({name: card.temp_c for name, card in cards.items() if card.temp_c is not None})
        limits = [self._throttled(), *(card.throttled for card in cards.values())]
        throttled = any(limits) if any(limit is not None for limit in limits) else None
        if not temps_c and not part_temps_c and throttled is None:
            raise SensorAbsent(
                f"no temperature under {self._sysfs}/class/thermal or {self._sysfs}/class/hwmon"
            )
        return Sample(temps_c=temps_c, part_temps_c=part_temps_c, throttled=throttled)

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _read_cards(self) -> dict[str, Card]:
        """The NVIDIA cards; none if their driver is broken, which the sensor `nvidia` reports."""
        try:
            return {} if self._cards is None else self._cards.read()
        except SensorFault:
            return {}

    def _zones(self) -> dict[str, float]:
        zones = {}
        for zone in folders(self._sysfs / "class" / "thermal", "thermal_zone*"):
            name, temp_c = text(zone / "type") or zone.name, plausible_c(number(zone / "temp"), 1e-3)
            if temp_c is not None:
                zones[name if name not in zones else f"{name} {zone.name}"] = temp_c
        return zones

    def _chips(self, wanted: Callable[[str], bool]) -> dict[str, float]:
        """The temperatures of the hwmon chips whose names are wanted."""
        chips = {}
        for chip in folders(self._sysfs / "class" / "hwmon", "hwmon*"):
            name = text(chip / "name") or ""
            if not wanted(name):
                continue
            for path in sorted(chip.glob("temp*_input")):
                temp_c = plausible_c(number(path), 1e-3)
                if temp_c is not None:
                    label = text(chip / path.name.replace("_input", "_label")) or path.name[:-6]
                    chips[f"{name} {label}"] = temp_c
        return chips

    def _throttled(self) -> bool | None:
        """Whether a cooling device lowers a clock now; None if the board has no such device."""
        for firmware in (self._sysfs / "devices" / "platform").glob("*/*:firmware/get_throttled"):
            try:
                return bool(int(text(firmware) or "", 16) & PI_THROTTLED_NOW)
            except ValueError:
                continue
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
