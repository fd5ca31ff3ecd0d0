"""Measures the energy of calls to model servers, or models it on boards without a power sensor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from agent.profile.profile import Profile
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.energy_model import Energy, modelled_energy, radio_energy_j
from agent.sensing.sensing import Sensing
from controller import PowerModel, Tier
from vlm.completion import Completion

LAST_SAMPLE_S = 0.05  # longest wait for the power sample at the end of a call


@dataclass
class CallEnergy:
    """Measured energy of a call; None while the call runs, or if no power sensor measured it."""

    joules: float | None = None


class CallEnergyMeter:
    """Measures the energy of calls if the board has a power sensor, else models it.

    Args:
        power: the power of the board, from its profile.
        sees_radio: whether the measured power includes the radio or network card.
        power_in: the power of the board in a power mode, by its name; by default `power` in each.
        last_sample_s: longest wait for the power sample at the end of a call, in seconds.
    """

    def __init__(
        self,
        sensing: Sensing,
        meter: EnergyMeter,
        power: PowerModel,
        *,
        sees_radio: bool = False,
        power_in: Callable[[str | None], PowerModel] | None = None,
        last_sample_s: float = LAST_SAMPLE_S,
    ) -> None:
        self._sensing = sensing
        self._meter = meter
        self._power_in = power_in or (lambda _mode: power)
        self._sees_radio = sees_radio
        self._last_sample_s = last_sample_s

    @classmethod
    def from_profile(
        cls, profile: Profile, sensing: Sensing, *, last_sample_s: float = LAST_SAMPLE_S
    ) -> CallEnergyMeter:
        """Creates a meter with the power of the profile."""
        return cls(
            sensing,
            sensing.energy_meter,
            profile.power_model(),
            sees_radio=profile.power.sees_radio,
            power_in=profile.power_model,
            last_sample_s=last_sample_s,
        )

    @asynccontextmanager
    async def over(self, tier: Tier) -> AsyncIterator[CallEnergy]:
        """Measures the energy of the body; sets `joules` when it ends."""
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
        """Returns the energy of a call that succeeded."""
        if measured.joules is None:
            return modelled_energy(self._power, tier, completion)
        sees_all = tier == "local" or self._sees_radio
        radio_j = 0.0 if sees_all else radio_energy_j(self._power, completion)
        return Energy(measured.joules + radio_j, "modelled" if radio_j else "measured")

    @property
    def _power(self) -> PowerModel:
        """The power of the board in its present power mode."""
        return self._power_in(self._sensing.power_mode)

    def _weight(self, tier: Tier) -> float:
        power = self._power
        if tier == "local":
            return power.local_w
        return power.wait_w + (power.radio_w if self._sees_radio else 0.0)
