"""GPU load, GPU clock limit and power mode of a Jetson from its own files, for boards without jtop.

The integrated GPU is a devfreq device that also reports its load in tenths of a percent. nvpmodel writes the
number of the power mode to /var/lib/nvpmodel/status; /etc/nvpmodel.conf has the names of the modes.
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.sensing.files import folders, number, ratio, text
from agent.sensing.sample import Sample, SensorAbsent

MODE = re.compile(r"pmode:(\d+)")
MODE_NAME = re.compile(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)")


def is_jetson(root: Path = Path("/")) -> bool:
    """Returns whether the machine whose file system is under `root` is a Jetson."""
    model = text(root / "proc" / "device-tree" / "model") or ""
    return "Jetson" in model or (root / "etc" / "nv_tegra_release").exists()


class Tegra:
    """The GPU and the power mode of a Jetson."""

    name = "tegra"

    def __init__(self, *, root: Path = Path("/")) -> None:
        self._root = root

    def sample(self) -> Sample:
        """Reads the GPU's load and clock limit, and the power mode."""
        if not is_jetson(self._root):
            raise SensorAbsent("not a Jetson")
        load, clock = self._gpu()
        return Sample(gpu_load=load, gpu_clock_ratio=clock, power_mode=self._power_mode())

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _gpu(self) -> tuple[float | None, float | None]:
        """Load of the GPU, and the highest clock allowed now divided by the hardware's maximum."""
        for device in folders(self._root / "sys" / "class" / "devfreq", "*"):
            load = device / "device" / "load"
            if "gpu" not in device.name and not load.exists():
                continue
            frequencies = (text(device / "available_frequencies") or "").split()
            max_hz = max((float(hz) for hz in frequencies if hz.isdigit()), default=None)
            return ratio(number(load), 1000.0), ratio(number(device / "max_freq"), max_hz)
        return None, None

    def _power_mode(self) -> str | None:
        status = MODE.search(text(self._root / "var" / "lib" / "nvpmodel" / "status") or "")
        if status is None:
            return None
        modes: list[tuple[str, str]] = MODE_NAME.findall(text(self._root / "etc" / "nvpmodel.conf") or "")
        names = {int(mode): name for mode, name in modes}
        mode = int(status[1])
        return names.get(mode, str(mode))
