"""The power mode of a Jetson from its own files, for boards without jtop.

nvpmodel writes the number of the power mode to /var/lib/nvpmodel/status; /etc/nvpmodel.conf has the names of
the modes.
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.profile.identity import BoardIdentity
from agent.sensing.files import text
from agent.sensing.sample import Sample, SensorAbsent

MODE = re.compile(r"pmode:(\d{1,6})")
MODE_NAME = re.compile(r"POWER_MODEL\s+(?:ID=(\d{1,6})\s+NAME=([^\s>]+)|NAME=([^\s>]+)\s+ID=(\d{1,6}))")


class Tegra:
    """The power mode of a Jetson."""

    name = "tegra"

    def __init__(self, *, root: Path = Path("/")) -> None:
        self._root = root
        self._is_jetson = BoardIdentity.here(root).is_jetson

    def sample(self) -> Sample:
        """Reads the power mode."""
        if not self._is_jetson:
            raise SensorAbsent("not a Jetson")
        return Sample(power_mode=self._power_mode())

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _power_mode(self) -> str | None:
        status = MODE.search(text(self._root / "var" / "lib" / "nvpmodel" / "status") or "")
        if status is None:
            return None
        names: dict[int, str] = {
            int(number or number_after): name or name_after
            for number, name, name_after, number_after in MODE_NAME.findall(
                text(self._root / "etc" / "nvpmodel.conf") or ""
            )
        }
        mode = int(status[1])
        return names.get(mode, str(mode))
