"""An arm: one way to answer a question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Tier = Literal["local", "cloud"]


@dataclass(frozen=True)
class Arm:
    """A model on a tier at an input resolution.

    Attributes:
        tier: where the model runs.
        model: its name on that server.
        resolution: longest side of the image it is given, in pixels; 0 sends the image as it came.
        server: which server runs it; the cost of an arm is learned per server, its quality is not.
    """

    tier: Tier
    model: str
    resolution: int
    server: str

    @cached_property
    def id(self) -> str:
        """Identifies the arm in records and snapshots, such as `cloud/big@128#peer-1`."""
        return f"{self.skill}#{self.server}"

    @cached_property
    def skill(self) -> str:
        """Identifies what the arm can do wherever it runs, such as `cloud/big@128`."""
        return f"{self.tier}/{self.model}@{self.resolution}"

    def is_named(self, name: str) -> bool:
        """Returns whether `name` is the id, the skill, or tier and model of this arm.

        >>> arm = Arm("cloud", "big", 128, "peer-1")
        >>> [arm.is_named(name) for name in ("cloud/big", "cloud/big@128", "cloud/big@128#peer-1", "big")]
        [True, True, True, False]
        """
        return name in (f"{self.tier}/{self.model}", self.skill, self.id)
