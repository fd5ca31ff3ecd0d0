"""Power of the rails from INA3221 and INA238 monitors, as the kernel's hwmon drivers show them.

Of each channel the driver gives a label, millivolts and milliamperes (ina3221), or microwatts (ina238); see
Documentation/hwmon/ina3221.rst and ina238.rst of the kernel. Channels named NC are not connected, channel 7
is the sum of the shunt voltages, and a channel that is switched off refuses to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.sample import Sample, SensorAbsent, SensorFault

# Rails that carry all that the module or the carrier draws, the widest first: the INA238 at the input of a
# Thor carrier, and the input of the Nano, NX and Xavier NX modules.
WHOLE = ("VIN", "VDD_IN", "POM_5V_IN")
CARRIER_INPUT = "VIN"  # the name given to an INA238, which has no labels
SHUNT_SUM = 7


@dataclass(frozen=True)
class _Channel:
    rail: str
    watts: Path | None
    volts: Path
    amperes: Path

    def power_w(self) -> float | None:
        if self.watts is not None:
            microwatts = number(self.watts)
            return None if microwatts is None else microwatts / 1e6
        millivolts, milliamperes = number(self.volts), number(self.amperes)
        if millivolts is None or milliamperes is None:
            return None
        return millivolts * milliamperes / 1e6


class Ina:
    """All monitors of the board.

    Args:
        rails: whose sum is the board's power; empty chooses a rail that carries all, else the sum of all.
    """

    name = "ina"

    def __init__(self, rails: Sequence[str] = (), *, sysfs: Path = Path("/sys")) -> None:
        self._rails = tuple(rails)
        self._sysfs = sysfs
        self._channels: tuple[_Channel, ...] = ()
        self._known: set[str] = set()  # rails that could be read before

    def sample(self) -> Sample:
        """Power of every rail that can be read."""
        if not self._channels:
            self._channels = tuple(_channels(self._sysfs / "class" / "hwmon"))
        if not self._channels:
            raise SensorAbsent(f"no INA3221 or INA238 under {self._sysfs}/class/hwmon")
        read = {channel.rail: channel.power_w() for channel in self._channels}
        rails_w = {rail: power_w for rail, power_w in read.items() if power_w is not None}
        if not rails_w:
            self._channels, self._known = (), set()  # its number may change when the driver comes back
            raise SensorFault(
                "the INA power monitor cannot be read: see `dmesg | grep ina` for its driver's reason"
            )
        self._known |= rails_w.keys()
        widest = [rail for rail in WHOLE if rail in self._known][:1]
        return Sample(power_w=total_w(rails_w, self._rails or widest or tuple(self._known)), rails_w=rails_w)

    def close(self) -> None:
        """Nothing is held."""


def total_w(rails_w: dict[str, float], wanted: Sequence[str]) -> float | None:
    """What the `wanted` rails draw together; None when one of them is not there."""
    return sum(rails_w[rail] for rail in wanted) if set(wanted) <= rails_w.keys() else None


def _channels(hwmon: Path) -> list[_Channel]:
    found: list[_Channel] = []
    for folder in folders(hwmon, "hwmon*"):
        driver = (text(folder / "name") or "").lower()
        if driver.startswith("ina3221"):
            found += _labelled(folder)
        elif driver.startswith("ina238"):
            watts = folder / "power1_input"
            power = watts if watts.exists() else None
            found.append(_Channel(CARRIER_INPUT, power, folder / "in1_input", folder / "curr1_input"))
    return found


def _labelled(folder: Path) -> list[_Channel]:
    channels = []
    for path in sorted(folder.glob("in*_label")):
        index, rail = path.name[2:-6], text(path)
        if rail is None or "NC" in rail.split() or index == str(SHUNT_SUM):
            continue
        channels.append(_Channel(rail, None, folder / f"in{index}_input", folder / f"curr{index}_input"))
    return channels
