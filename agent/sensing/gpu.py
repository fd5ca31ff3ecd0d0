"""Load and clock limit of the GPU on a board's chip, from its devfreq device.

A board has a devfreq device for each block whose clock changes: video, vision, NPU, memory, GPU. Its node in
the device tree says which one is the GPU; without a node, its name does. The load is in tenths of a percent
on a Jetson (`device/load`), in percent with the clock on Rockchip (`load`: 37@300000000Hz).
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.sensing.files import folders, number, ratio, text
from agent.sensing.sample import Sample, SensorAbsent

# Names and `compatible` of the nodes: Jetsons (gpu, or the chip: gm20b, gp10b, gv11b, ga10b), Mali, V3D.
GPU_NODE = re.compile(r"^(gpu(-gpc-\d+)?|g[mpva]\d\db|mali.*|panthor|v3d)$")
GPU_COMPATIBLE = re.compile(r"nvidia,(tegra\d+-gpu|g[mpva]\d\db|gpu)|arm,mali|mali-|brcm,\w+-v3d")
# Names of devices: the address and the name of the node. Thor's gpu-nvd is its video unit.
GPU_DEVICE = re.compile(r"^([0-9a-f]+\.)?(gpu(-gpc-\d+)?(-panthor)?|g[mpva]\d\db|mali\S*|v3d)$")


class DevfreqGpu:
    """The GPU on the board's chip."""

    name = "gpu"

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        self._devfreq = sysfs / "class" / "devfreq"

    def sample(self) -> Sample:
        """Reads the load of the GPU, and its clock limit."""
        device = next((folder for folder in folders(self._devfreq, "*") if is_gpu(folder)), None)
        if device is None:
            raise SensorAbsent(f"no GPU under {self._devfreq}")
        frequencies = (text(device / "available_frequencies") or "").split()
        max_hz = max((float(hz) for hz in frequencies if hz.isdecimal()), default=None)
        return Sample(gpu_load=_load(device), gpu_clock_ratio=ratio(number(device / "max_freq"), max_hz))

    def close(self) -> None:
        """Does nothing: no resources are kept."""


def is_gpu(device: Path) -> bool:
    """Returns whether a devfreq device is the GPU."""
    node = device / "device" / "of_node"
    name, compatible = text(node / "name"), text(node / "compatible")
    if name is None and compatible is None:
        return bool(GPU_DEVICE.match(device.name))
    if compatible and GPU_COMPATIBLE.search(compatible):
        return not device.name.startswith("gpu-nvd")
    return bool(GPU_NODE.match(name or ""))


def _load(device: Path) -> float | None:
    percent, clock, _ = (text(device / "load") or "").partition("@")
    if clock and percent.isdecimal():
        return ratio(float(percent), 100.0)
    tegra = number(device / "device" / "load")
    if tegra is not None:
        return ratio(tegra, 1000.0)
    return ratio(number(device / "device" / "utilisation"), 100.0)
