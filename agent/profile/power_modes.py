"""The power modes of a board, as nvpmodel on a Jetson has them, and its power in each of them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from agent.profile.described import Described
from agent.profile.watts import Watts

PREFIX = "MODE_"  # some releases of Jetson Linux put it before the names: MODE_15W and 15W are the same


class PowerMode(Described):
    """One power mode of the board."""

    name: str
    """Name of the mode, as `nvpmodel -q` prints it."""
    id: int | None = Field(None, ge=0)
    """Number of the mode; several modes may have the same one, in different releases."""
    budget_w: Watts | None = None
    """Watts for which the mode is named; null if it has no limit."""
    idle_w: Watts | None = None
    """Watts of the whole board in this mode with models loaded and no request; default: as power.idle_w."""
    local_w: Watts | None = None
    """Watts above idle while the board's model computes; default: power.local_w in proportion to budget_w."""
    cpus: int | None = Field(None, ge=1)
    """Number of cores that are switched on."""
    cpu_mhz: float | None = Field(None, gt=0)
    """Highest clock of the CPU in MHz."""
    gpu_mhz: float | None = Field(None, gt=0)
    """Highest clock of the GPU in MHz."""

    @model_validator(mode="after")
    def _has_power(self) -> PowerMode:
        if self.budget_w is None and self.local_w is None:
            raise ValueError(f"the mode {self.name} has no budget_w: write its local_w")
        if self.local_w == 0 or self.budget_w == 0:
            raise ValueError(f"the mode {self.name} has no power: write its watts")
        return self


def find_mode(modes: Sequence[PowerMode], name: str | None) -> PowerMode | None:
    """Returns the mode called `name`, or the only one with that number; None if there is none."""
    if name is None:
        return None
    plain = _plain(name)
    named = [mode for mode in modes if _plain(mode.name) == plain]
    if not named:
        named = [mode for mode in modes if str(mode.id) == name]
    return named[0] if len(named) == 1 else None


def _plain(name: str) -> str:
    return name.upper().replace("-", "_").removeprefix(PREFIX)
