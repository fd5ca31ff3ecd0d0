"""Measures what a call to a model server costs the board in energy, where the board can measure it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from agent.profile.profile import Profile
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.energy_model import Energy, modelled_energy, radio_energy_j
from agent.sensing.sensing import Sensing
from controller import PowerModel, Tier
from vlm.completion import Completion

LAST_SAMPLE_S = 0.05  # an answer waits no longer for the power sample at its end


@dataclass
class CallEnergy:
    """What was measured over a call; None while it runs, and when nothing measured it."""

    joules: float | None = None


class CallEnergyMeter:
    """Measures calls where the board has a power sensor, and models them where it has none.

    Args:
        power: what the board is expected to draw.
        sees_radio: whether the measured power includes the radio or network card.
        last_sample_s: how long to wait at most for the power sample at the end of a call.
    """

    def __init__(
        self,
        sensing: Sensing,
        meter: EnergyMeter,
        power: PowerModel,
        *,
        sees_radio: bool = False,
        last_sample_s: float = LAST_SAMPLE_S,
    ) -> None:
        self._sensing = sensing
        self._meter = meter
        self._power = power
        self._sees_radio = sees_radio
        self._last_sample_s = last_sample_s

    @classmethod
    def from_profile(
        cls, profile: Profile, sensing: Sensing, *, last_sample_s: float = LAST_SAMPLE_S
    ) -> CallEnergyMeter:
        """A meter that expects of the board what the profile says."""
        return cls(
            sensing,
            sensing.energy_meter,
            profile.controller_settings().power,
            sees_radio=profile.power.sees_radio,
            last_sample_s=last_sample_s,
        )

    @asynccontextmanager
    async def over(self, tier: Tier) -> AsyncIterator[CallEnergy]:
        """Measure the body; the figure is set when it ends."""
        energy = CallEnergy()
        window = self._meter.begin(weight=self._weight(tier), now=self._sensing.now())
        try:
            yield energy
        finally:
            with anyio.move_on_after(self._last_sample_s, shield=True):
                await self._sensing.refresh_power()
            resolution_s = self._sensing.power_resolution_s()
            energy.joules = self._meter.end(window, now=self._sensing.now(), resolution_s=resolution_s)

    def energy(self, tier: Tier, completion: Completion, measured: CallEnergy) -> Energy:
        """The energy of a call that succeeded."""
        if measured.joules is None:
            return modelled_energy(self._power, tier, completion)
        radio_j = 0.0 if tier == "local" or self._sees_radio else radio_energy_j(self._power, completion)
        return Energy(measured.joules + radio_j, "modelled" if radio_j else "measured")

    def _weight(self, tier: Tier) -> float:
        if tier == "local":
            return self._power.local_w
        return self._power.wait_w + (self._power.radio_w if self._sees_radio else 0.0)
