"""How a board is recognised: by its device tree, its cores and its memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from agent.profile.sections import Match


@dataclass(frozen=True)
class BoardIdentity:
    """What distinguishes one kind of board from another.

    Attributes:
        model: the board's name in its device tree; empty if it has none.
        cores: number of CPU cores.
        memory_gb: memory as the kernel reports it, in 10^9 bytes.
    """

    model: str
    cores: int
    memory_gb: float

    @classmethod
    def here(cls, root: Path = Path("/")) -> BoardIdentity:
        """Reads the identity of this board; its device tree is under `root`."""
        try:
            model = (root / "proc" / "device-tree" / "model").read_text(errors="replace").rstrip("\0\n")
        except OSError:
            model = ""
        return cls(model, os.cpu_count() or 1, psutil.virtual_memory().total / 1e9)

    def fits(self, match: Match) -> bool:
        """Returns whether the board meets every condition of `match`; no board fits an empty one."""
        model_fits = match.model is None or match.model in self.model
        enough = self.cores >= match.cores and self.memory_gb >= match.memory_gb
        return match != Match() and model_fits and enough
