"""How a board is recognised: by its device tree and SoC, its name, its GPU, its cores and its memory.

What is known of a board counts in this order: the id of its module (NVIDIA's p3767-0005), its name, its SoC
(tegra234), everything else. A name alone says little: carrier boards are sold under names of their own, and
NVIDIA has given one name to several modules and several names to one.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from agent.profile.cpu_list import cpu_list
from agent.profile.match import Match

MODULE = re.compile(r"p\d{4}-\d{4}")
# The id that the kernel reports in /sys/devices/soc0/soc_id, in decimal, for machines that hide their device
# tree, as containers do (TEGRA234 is 0x23 in include/soc/tegra/fuse.h).
TEGRA_IDS = {"33": "tegra210", "24": "tegra186", "25": "tegra194", "35": "tegra234", "38": "tegra264"}
TEGRA = "tegra"
PCI_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
DISPLAY_CLASS = "0x03"


@dataclass(frozen=True)
class BoardIdentity:
    """What distinguishes one kind of board from another.

    Attributes:
        model: the board's name in its device tree; empty if it has none.
        cores: number of CPU cores, including those that the power mode switches off.
        memory_gb: memory as the kernel reports it, in 10^9 bytes.
        parts: the names in `compatible` of the device tree, without their vendor: of the module, the carrier
            board and the SoC.
        gpus: vendors of the graphics cards.
        arm: whether it has an ARM processor.
    """

    model: str
    cores: int
    memory_gb: float
    parts: frozenset[str] = frozenset()
    gpus: frozenset[str] = frozenset()
    arm: bool = False

    @classmethod
    def here(cls, root: Path = Path("/")) -> BoardIdentity:
        """Reads the identity of the board whose file system is under `root`."""
        tree = root / "proc" / "device-tree"
        if not tree.exists():  # a link to this, but not in every container
            tree = root / "sys" / "firmware" / "devicetree" / "base"
        model = _text(tree / "model")
        parts = _parts(root, tree)
        arm = bool(model or parts) or (root == Path("/") and platform.machine().startswith(("arm", "aarch")))
        return cls(model, _cores(root), _memory_gb(root), parts, _gpus(root), arm)

    @property
    def is_jetson(self) -> bool:
        """Whether it is an NVIDIA Jetson."""
        return any(part.startswith(TEGRA) for part in self.parts) or "Jetson" in self.model

    def fits(self, match: Match) -> bool:
        """Returns whether the board meets the conditions of `match`; no board fits an empty one."""
        return self.evidence(match) is not None

    def evidence(self, match: Match, *, soc_alone: bool = True) -> tuple[int, int] | None:
        """Returns how certain it is that `match` means this board, for comparison; None if it does not fit.

        The first number is the kind of evidence: 3 the module, 2 the name, 1 the SoC, 0 other. The second is
        the length of the text that was found.

        Args:
            soc_alone: whether `match.soc_alone` counts.
        """
        if match == Match() or self.cores < match.cores or self.memory_gb < match.memory_gb:
            return None
        soc = max((len(name) for name in match.soc if self._has_soc(name)), default=0)
        if (match.soc and self.parts and not soc) or (match.gpu and match.gpu not in self.gpus):
            return None
        modules = [name for name in match.module if self._has_module(name)]
        if modules:
            return 3, max(map(len, modules))
        names = [name for name in match.models if name in self.model]
        if names:
            return 2, max(map(len, names))
        only_others = not match.module and not match.models
        if soc and ((match.soc_alone and soc_alone) or only_others):
            return 1, soc
        return (0, 0) if only_others and not match.soc else None

    def _has_module(self, name: str) -> bool:
        return any(part == name or part.startswith(f"{name}-") for part in self.parts)

    def _has_soc(self, name: str) -> bool:
        return any(part.startswith(name) for part in self.parts)


def _parts(root: Path, tree: Path) -> frozenset[str]:
    """The names in `compatible`, modules that the device tree names elsewhere, the SoC as the kernel says."""
    compatible = [name.partition(",")[2] for name in _text(tree / "compatible", "\n").split("\n")]
    parts = {part for name in compatible for part in name.split("+") if part}
    parts |= set(MODULE.findall(_text(tree / "nvidia,dtsfilename")))
    soc = root / "sys" / "devices" / "soc0"
    if _text(soc / "family") == "Tegra":
        number = _text(soc / "soc_id")
        parts.add(TEGRA_IDS.get(number, TEGRA))
    elif not parts and (root / "etc" / "nv_tegra_release").exists():
        parts.add(TEGRA)
    return frozenset(parts)


def _cores(root: Path) -> int:
    """The cores that the board has; a power mode may switch some of them off."""
    present = _text(root / "sys" / "devices" / "system" / "cpu" / "present")
    return len(cpu_list(present)) or os.cpu_count() or 1


def _memory_gb(root: Path) -> float:
    found = re.search(r"^MemTotal:\s+(\d{1,15}) kB", _text(root / "proc" / "meminfo", "\n"), re.MULTILINE)
    return int(found[1]) * 1024 / 1e9 if found else psutil.virtual_memory().total / 1e9


def _gpus(root: Path) -> frozenset[str]:
    vendors = {
        PCI_VENDORS.get(_text(device / "vendor"))
        for device in (root / "sys" / "bus" / "pci" / "devices").glob("*")
        if _text(device / "class").startswith(DISPLAY_CLASS)
    }
    return frozenset(vendor for vendor in vendors if vendor)


def _text(path: Path, separator: str = " ") -> str:
    """The content of a file, whose parts may be separated by NUL; empty if it cannot be read."""
    try:
        return path.read_text(errors="replace").rstrip("\0\n").replace("\0", separator).strip()
    except OSError:
        return ""
