"""The conditions by which a profile is found for a board."""

from __future__ import annotations

from pydantic import Field

from agent.profile.described import Described


class Match(Described):
    """How the board is recognised: by `module` or `model`; all other given conditions must be met too."""

    module: tuple[str, ...] = ()
    """Ids of NVIDIA's modules, as in /proc/device-tree/compatible, for example p3767-0005."""
    model: str | tuple[str, ...] | None = None
    """Part of the text of /proc/device-tree/model, case-sensitive; or a list of such texts."""
    soc: tuple[str, ...] = ()
    """Beginnings of the SoC's name in /proc/device-tree/compatible, for example tegra234 or rk3588."""
    soc_alone: bool = False
    """Whether a board with that SoC fits too if neither its module nor its name is listed."""
    gpu: str | None = None
    """Vendor of a graphics card: nvidia, amd or intel."""
    cores: int = Field(0, ge=0)
    """Minimum number of CPU cores, including those that the power mode switches off."""
    memory_gb: float = Field(0, ge=0)
    """Minimum memory as the kernel reports it, in 10^9 bytes."""

    @property
    def models(self) -> tuple[str, ...]:
        """The texts of `model`."""
        return (self.model,) if isinstance(self.model, str) else self.model or ()
