"""Cost profiles: times, powers and link of hardware that was not measured. All figures are simulated.

The main profile describes a Jetson Orin Nano 8 GB in its 7 W mode behind an LTE link, and a cloud that serves
models ten times as large. docs/evaluation.md lists the sources of the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controller import PowerModel, Weights
from lab.errors import BenchError


@dataclass(frozen=True)
class ModelSpeed:
    """A model on an idle machine: `prefill_ms` at a low and a high resolution, then `token_ms` per token."""

    prefill_ms: tuple[float, float]
    token_ms: float


@dataclass(frozen=True)
class Power:
    """Power of the whole board, its idle power included, and of the cloud, in watts.

    Attributes:
        idle_w: without a request.
        computing_w: while the board's own model computes.
        waiting_w: while the board waits for the cloud, with the radio connected.
        sending_w_per_mbps: in addition while it sends, for each Mbit/s.
        cloud_w: per request that the cloud serves.
    """

    idle_w: float
    computing_w: float
    waiting_w: float
    sending_w_per_mbps: float
    cloud_w: float


@dataclass(frozen=True)
class NominalLink:
    """The undisturbed link to the cloud; `jitter` is the standard deviation of the log of its delays."""

    rtt_ms: float
    uplink_mbps: float
    loss: float = 0.0
    jitter: float = 0.15


@dataclass(frozen=True)
class CostProfile:
    """Times, powers and link of a board and a cloud.

    Attributes:
        local, cloud: speeds of a tier's models, the fastest first; assigned to a trace's models by rank.
        payload_kb: mean size of an image at a low and a high resolution.
        spread: standard deviation of the logarithm of computing times, beyond what is modelled.
        gap_s: mean time between two questions, which arrive as a Poisson process.
        slots: requests that the cloud serves at the same time.
        timeout_ms: time after which a call without an answer fails.
        probe_s: time between two probes of the link.
    """

    name: str
    local: tuple[ModelSpeed, ...]
    cloud: tuple[ModelSpeed, ...]
    payload_kb: tuple[float, float]
    power: Power
    link: NominalLink
    spread: float = 0.15
    gap_s: float = 2.0
    slots: int = 4
    timeout_ms: float = 3000.0
    probe_s: float = 5.0
    offline: bool = False
    weights: Weights = field(default_factory=Weights)

    def cost(self, *, latency_ms: float, energy_j: float, calls: float) -> float:
        """Returns the weighted cost of an answer."""
        weights = self.weights
        return (
            weights.latency_per_s / 1e3 * latency_ms
            + weights.energy_per_j * energy_j
            + weights.money_per_call * calls
        )

    def power_model(self) -> PowerModel:
        """Returns the power settings of a controller on this board."""
        power = self.power
        return PowerModel(
            local_w=power.computing_w,
            wait_w=power.waiting_w,
            radio_w=power.sending_w_per_mbps * self.link.uplink_mbps,
            radio_j_per_mb=0.0,
        )


JETSON_WAN: Final = CostProfile(
    name="jetson-wan",
    local=(ModelSpeed((110.0, 200.0), 8.0), ModelSpeed((170.0, 300.0), 14.0)),
    cloud=(ModelSpeed((330.0, 480.0), 15.0), ModelSpeed((450.0, 650.0), 25.0)),
    payload_kb=(45.0, 150.0),
    power=Power(idle_w=4.0, computing_w=7.0, waiting_w=5.8, sending_w_per_mbps=0.44, cloud_w=150.0),
    link=NominalLink(rtt_ms=70.0, uplink_mbps=6.0),
)
FAST_LAN: Final = replace(
    JETSON_WAN,
    name="fast-lan",
    local=(ModelSpeed((330.0, 600.0), 24.0), ModelSpeed((510.0, 900.0), 42.0)),
    cloud=(ModelSpeed((60.0, 90.0), 8.0), ModelSpeed((90.0, 140.0), 12.0)),
    link=NominalLink(rtt_ms=2.0, uplink_mbps=400.0),
    power=replace(JETSON_WAN.power, waiting_w=5.0, sending_w_per_mbps=0.002),
)
SLOW_WAN: Final = replace(
    JETSON_WAN, name="slow-wan", link=NominalLink(rtt_ms=300.0, uplink_mbps=1.0, loss=0.002)
)
OFFLINE: Final = replace(JETSON_WAN, name="offline", offline=True)
CALLS_ONLY: Final = replace(  # only calls to the cloud have a cost
    JETSON_WAN,
    name="calls-only",
    weights=Weights(latency_per_s=0.0, energy_per_j=0.0, money_per_call=1.0),
)
SLOW_BOARD: Final = replace(  # each answer takes 20% longer than one of the cloud's over the link
    JETSON_WAN,
    name="slow-board",
    local=(ModelSpeed((570.0, 920.0), 8.0), ModelSpeed((710.0, 1120.0), 14.0)),
)
POWER_HUNGRY_BOARD: Final = replace(  # an answer of the board needs more energy than waiting for the cloud's
    JETSON_WAN,
    name="power-hungry-board",
    power=replace(JETSON_WAN.power, computing_w=25.0),
)
PROFILES: Final = {
    profile.name: profile
    for profile in (
        *(JETSON_WAN, FAST_LAN, SLOW_WAN, OFFLINE, CALLS_ONLY),
        *(SLOW_BOARD, POWER_HUNGRY_BOARD),
    )
}


def profile_named(name: str) -> CostProfile:
    """Returns one of `PROFILES`. Raises BenchError for an unknown name."""
    if name not in PROFILES:
        raise BenchError(f"unknown cost profile {name!r}: use one of {', '.join(PROFILES)}")
    return PROFILES[name]
