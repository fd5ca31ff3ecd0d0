"""Power of the board's rails, from INA3221 and INA238 power monitors through the kernel's hwmon drivers.

For each channel the ina3221 driver reports a label, millivolts and milliamperes, the ina238 driver
microwatts; see Documentation/hwmon/ina3221.rst and ina238.rst in the kernel. Channels labelled NC are not
connected, channel 7 is the sum of the shunt voltages, and a disabled channel cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.rails import CARRIER_INPUT, THOR_MODULE, UNKNOWN_MONITOR, board_rails, total_w
from agent.sensing.sample import Sample, SensorAbsent, SensorFault

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
    """All INA power monitors of the board.

    Args:
        rails: rails whose sum is the board's power; if empty, those that `rails.py` chooses.
    """

    name = "ina"

    def __init__(self, rails: Sequence[str] = (), *, sysfs: Path = Path("/sys")) -> None:
        self._rails = tuple(rails)
        self._sysfs = sysfs
        self._channels: tuple[_Channel, ...] = ()
        self._known: set[str] = set()  # rails that could be read before

    def sample(self) -> Sample:
        """Reads the power of every rail that can be read."""
        if not self._channels:
            self._channels = tuple(_channels(self._sysfs / "class" / "hwmon"))
        if not self._channels:
            raise SensorAbsent(f"no INA3221 or INA238 under {self._sysfs}/class/hwmon")
        read = {channel.rail: channel.power_w() for channel in self._channels}
        rails_w = {rail: power_w for rail, power_w in read.items() if power_w is not None}
        if not rails_w:
            self._channels, self._known = (), set()  # its hwmon number may change if the driver is reloaded
            raise SensorFault(
                "the INA power monitor cannot be read: see `dmesg | grep ina` for the driver's message"
            )
        self._known |= rails_w.keys()
        return Sample(power_w=total_w(rails_w, self._rails or board_rails(self._known)), rails_w=rails_w)

    def close(self) -> None:
        """Does nothing: no resources are kept."""


def _channels(hwmon: Path) -> list[_Channel]:
    channels: list[_Channel] = []
    monitors = []
    for folder in folders(hwmon, "hwmon*"):
        driver = (text(folder / "name") or "").lower()
        if driver.startswith("ina3221"):
            channels += _labelled_channels(folder)
        elif driver.startswith("ina238"):
            monitors.append(folder)
    unlabelled = CARRIER_INPUT if THOR_MODULE in {channel.rail for channel in channels} else UNKNOWN_MONITOR
    for folder in monitors:
        label = text(folder / "label") or text(folder / "device" / "of_node" / "label")
        watts = folder / "power1_input"
        power = watts if watts.exists() else None
        channels.append(_Channel(label or unlabelled, power, folder / "in1_input", folder / "curr1_input"))
    return channels


def _labelled_channels(folder: Path) -> list[_Channel]:
    channels = []
    for path in sorted(folder.glob("in*_label")):
        index, rail = path.name[2:-6], text(path)
        if rail is None or "NC" in rail.split() or index == str(SHUNT_SUM):
            continue
        channels.append(_Channel(rail, None, folder / f"in{index}_input", folder / f"curr{index}_input"))
    return channels
