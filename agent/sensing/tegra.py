"""A Jetson's GPU and power mode from its own files, for when jtop does not tell.

The integrated GPU is a devfreq device that also gives its load in tenths of a percent; nvpmodel leaves the
number of its mode in /var/lib/nvpmodel/status, which /etc/nvpmodel.conf names.
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.sensing.files import folders, number, ratio, text
from agent.sensing.sample import Sample, SensorAbsent

MODE = re.compile(r"pmode:(\d+)")
NAME = re.compile(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)")


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether the machine whose files stand under `root` is a Jetson."""
    model = text(root / "proc" / "device-tree" / "model") or ""
    return "Jetson" in model or (root / "etc" / "nv_tegra_release").exists()


class Tegra:
    """GPU load, the GPU's clock limit and the power mode."""

    name = "tegra"

    def __init__(self, *, root: Path = Path("/")) -> None:
        self._root = root

    def sample(self) -> Sample:
        """What can be read of them."""
        if not is_jetson(self._root):
            raise SensorAbsent("no Jetson")
        load, clock = self._gpu()
        return Sample(gpu_load=load, gpu_clock_ratio=clock, power_mode=self._power_mode())

    def close(self) -> None:
        """Nothing is held."""

    def _gpu(self) -> tuple[float | None, float | None]:
        """Its load, and the clock it may reach now over the hardware's highest."""
        for device in folders(self._root / "sys" / "class" / "devfreq", "*"):
            load = device / "device" / "load"
            if "gpu" not in device.name and not load.exists():
                continue
            frequencies = (text(device / "available_frequencies") or "").split()
            most = max((float(one) for one in frequencies if one.isdigit()), default=None)
            return ratio(number(load), 1000.0), ratio(number(device / "max_freq"), most)
        return None, None

    def _power_mode(self) -> str | None:
        held = MODE.search(text(self._root / "var" / "lib" / "nvpmodel" / "status") or "")
        if held is None:
            return None
        known: list[tuple[str, str]] = NAME.findall(text(self._root / "etc" / "nvpmodel.conf") or "")
        names = {int(mode): name for mode, name in known}
        mode = int(held[1])
        return names.get(mode, str(mode))
