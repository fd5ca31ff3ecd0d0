"""The charge of the board's own batteries, from the kernel's power supplies.

The batteries of a mouse or a headset are power supplies too: their scope is `Device`. Several batteries count
by their energy. See Documentation/ABI/testing/sysfs-class-power in the kernel.
"""

from __future__ import annotations

import math
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.sample import Sample, SensorAbsent

BATTERIES = ("battery", "ups")
SUPPLIES = ("mains", "usb")


class Battery:
    """Charge of the board's batteries together, and whether they power the board."""

    name = "battery"

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        self._supplies = sysfs / "class" / "power_supply"

    def sample(self) -> Sample:
        """Reads the charge and the source of power."""
        own = [folder for folder in folders(self._supplies, "*") if _word(folder / "scope") != "device"]
        batteries = [folder for folder in own if _word(folder / "type") in BATTERIES and _is_present(folder)]
        if not batteries:
            raise SensorAbsent(f"no battery of the board under {self._supplies}")
        return Sample(battery_pct=_charge_pct(batteries), on_battery=_on_battery(batteries, own))

    def close(self) -> None:
        """Does nothing: no resources are kept."""


def _charge_pct(batteries: list[Path]) -> float | None:
    energies = [_energy(battery) for battery in batteries]
    if all(energy is not None for energy in energies):
        known = [energy for energy in energies if energy is not None]
        now, full = (sum(column) for column in zip(*known, strict=True))
        return _percent(100.0 * now / full) if math.isfinite(now / full) else None
    capacities = [capacity for battery in batteries if (capacity := number(battery / "capacity")) is not None]
    return _percent(sum(capacities) / len(capacities)) if len(capacities) == len(batteries) else None


def _energy(battery: Path) -> tuple[float, float] | None:
    """The energy in a battery and that of a full one, in the same unit; None if they are not reported."""
    now, full = number(battery / "energy_now"), number(battery / "energy_full")
    if now is None or full is None or not full > 0:
        voltage = number(battery / "voltage_min_design") or number(battery / "voltage_now")
        now_ah, full_ah = number(battery / "charge_now"), number(battery / "charge_full")
        if now_ah is None or full_ah is None or voltage is None or not full_ah * voltage > 0:
            return None
        now, full = now_ah * voltage / 1e6, full_ah * voltage / 1e6  # microampere hours to microwatt hours
    return now, full


def _on_battery(batteries: list[Path], own: list[Path]) -> bool | None:
    statuses = {_word(battery / "status") for battery in batteries}
    if "discharging" in statuses:
        return True
    if statuses <= {"charging", "full", "not charging"}:
        return False
    supplies = [number(folder / "online") for folder in own if _word(folder / "type") in SUPPLIES]
    known = [online for online in supplies if online is not None]
    return not any(known) if known else None


def _is_present(battery: Path) -> bool:
    return number(battery / "present") != 0


def _percent(charge_pct: float) -> float:
    return min(100.0, max(0.0, charge_pct))


def _word(path: Path) -> str:
    return (text(path) or "").lower()
