"""What an answer costs the board in energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.arm import Tier
from controller.settings import PowerModel
from vlm.completion import Completion

EnergySource = Literal["measured", "modelled"]


@dataclass(frozen=True)
class Energy:
    """Joules above idle, and where the figure comes from: modelled as soon as a part of it is."""

    joules: float
    source: EnergySource


def modelled_energy(power: PowerModel, tier: Tier, completion: Completion) -> Energy:
    """Power from the profile times the times that were measured.

    The board's own model draws `local_w` while it computes. For a cloud answer the radio is on outside the
    server's time, and the board waits during it.
    """
    if tier == "local":
        computing_ms = completion.latency_ms if completion.compute_ms is None else completion.compute_ms
        return Energy(power.local_w * computing_ms / 1e3, "modelled")
    waiting_j = power.wait_w * _server_ms(completion) / 1e3
    return Energy(waiting_j + radio_energy_j(power, completion), "modelled")


def radio_energy_j(power: PowerModel, completion: Completion) -> float:
    """What the radio or network card draws for a cloud answer, by the profile."""
    link_ms = max(0.0, completion.latency_ms - _server_ms(completion))
    return power.radio_w * link_ms / 1e3 + power.radio_j_per_mb * completion.request_bytes / 1e6


def _server_ms(completion: Completion) -> float:
    return (completion.compute_ms or 0.0) + (completion.queue_ms or 0.0)
