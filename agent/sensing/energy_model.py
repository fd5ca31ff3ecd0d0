"""Models the energy of an answer from the power in the profile and measured times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.arm import Tier
from controller.settings import PowerModel
from vlm.completion import Completion

EnergySource = Literal["measured", "modelled"]


@dataclass(frozen=True)
class Energy:
    """Joules above idle, and how they are known: `modelled` if any part of them is."""

    joules: float
    source: EnergySource


def modelled_energy(power: PowerModel, tier: Tier, completion: Completion) -> Energy:
    """Returns the energy of an answer: the profile's power times measured times.

    The board's own model uses `local_w` while it computes. For a cloud answer the board waits during the
    server's time, and the radio is on during the rest.
    """
    if tier == "local":
        computing_ms = completion.latency_ms if completion.compute_ms is None else completion.compute_ms
        return Energy(power.local_w * computing_ms / 1e3, "modelled")
    waiting_j = power.wait_w * _server_ms(completion) / 1e3
    return Energy(waiting_j + radio_energy_j(power, completion), "modelled")


def radio_energy_j(power: PowerModel, completion: Completion) -> float:
    """Returns the energy of the radio or network card for a cloud answer, in joules."""
    link_ms = max(0.0, completion.latency_ms - _server_ms(completion))
    return power.radio_w * link_ms / 1e3 + power.radio_j_per_mb * completion.request_bytes / 1e6


def _server_ms(completion: Completion) -> float:
    return (completion.compute_ms or 0.0) + (completion.queue_ms or 0.0)
