"""A stand-in for the meter of calls, where a test or rig has no board."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.sensing.call_energy import CallEnergy, CallEnergyMeter
from agent.sensing.energy_model import Energy
from controller import Tier
from vlm.completion import Completion


class FixedEnergyMeter(CallEnergyMeter):
    """Measures nothing, and reports the same energy for each call.

    Args:
        joules: the energy of a call.
    """

    def __init__(self, joules: float = 1.0) -> None:
        self._energy = Energy(joules, "modelled")

    @asynccontextmanager
    async def over(self, _tier: Tier) -> AsyncIterator[CallEnergy]:
        """Measures nothing of the body."""
        yield CallEnergy()

    def energy(self, _tier: Tier, _completion: Completion, _measured: CallEnergy) -> Energy:
        """Returns the energy of a call."""
        return self._energy
