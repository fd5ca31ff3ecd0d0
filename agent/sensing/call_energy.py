"""Measuring what a request costs the board, where it can be measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.energy_model import Energy, modelled_energy, radio_energy_j
from agent.sensing.sensing import Sensing
from controller.arm import Tier
from controller.settings import PowerModel
from vlm.completion import Completion

LAST_SAMPLE_S = 0.05  # an answer waits no longer for the power at its end


@dataclass
class CallEnergy:
    """What was measured over a request; None as long as it runs, and when nothing measured it."""

    joules: float | None = None


class CallEnergyMeter:
    """Measures requests where the board can, and models them where it cannot.

    Args:
        sees_radio: whether the power that is measured has the radio or network card in it.
        last_sample_s: how long at most to wait for the power at the end of a request.
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

    @asynccontextmanager
    async def over(self, tier: Tier) -> AsyncIterator[CallEnergy]:
        """Measure what runs inside; the figure is there afterwards."""
        metered = CallEnergy()
        window = self._meter.begin(weight=self._weight(tier), now=self._sensing.now())
        try:
            yield metered
        finally:
            with anyio.move_on_after(self._last_sample_s, shield=True):
                await self._sensing.refresh_power()
            resolution_s = self._sensing.power_resolution_s()
            metered.joules = self._meter.end(window, now=self._sensing.now(), resolution_s=resolution_s)

    def energy(self, tier: Tier, completion: Completion, metered: CallEnergy) -> Energy:
        """Of a request that succeeded."""
        if metered.joules is None:
            return modelled_energy(self._power, tier, completion)
        radio_j = 0.0 if tier == "local" or self._sees_radio else radio_energy_j(self._power, completion)
        return Energy(metered.joules + radio_j, "modelled" if radio_j else "measured")

    def _weight(self, tier: Tier) -> float:
        if tier == "local":
            return self._power.local_w
        return self._power.wait_w + (self._power.radio_w if self._sees_radio else 0.0)
