"""A cost profile: what each arm costs on hardware that is not here. Every figure from one is simulated.

The headline profile is of a Jetson Orin Nano 8 GB in its 7 W mode behind an LTE link, asking a cloud that
serves models ten times as large. Where the figures come from is told in docs/evaluation.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controller.settings import PowerModel, Weights
from lab.errors import BenchError


@dataclass(frozen=True)
class Speed:
    """A model on an idle machine: `prefill_ms` at a low and a high resolution, then `token_ms` a token."""

    prefill_ms: tuple[float, float]
    token_ms: float


@dataclass(frozen=True)
class Power:
    """What the whole board draws, its idle power included, in watts.

    Attributes:
        idle_w: with no request under way.
        computing_w: while its own model computes.
        waiting_w: while a request is with the cloud, the radio connected.
        sending_w_per_mbps: more while it sends, for each Mbit/s.
        cloud_w: what a request draws in the cloud while it is served there.
    """

    idle_w: float
    computing_w: float
    waiting_w: float
    sending_w_per_mbps: float
    cloud_w: float


@dataclass(frozen=True)
class Path:
    """The link to the cloud when nothing disturbs it; `jitter` is the deviation of its delays' logarithm."""

    rtt_ms: float
    uplink_mbps: float
    loss: float = 0.0
    jitter: float = 0.15


@dataclass(frozen=True)
class CostProfile:
    """Times, powers and the link of one setting.

    Attributes:
        local, cloud: speeds of a tier's models, the fastest first; a trace's models take them by their rank.
        payload_kb: of an image at a low and a high resolution, on average.
        spread: deviation of the logarithm of a computing time that nothing explains.
        gap_s: mean time between two questions, which arrive as a Poisson process.
        slots: requests that the cloud serves at once.
        timeout_ms: after which a call without an answer has failed.
        probe_s: time between two probes of the link.
    """

    name: str
    local: tuple[Speed, ...]
    cloud: tuple[Speed, ...]
    payload_kb: tuple[float, float]
    power: Power
    path: Path
    spread: float = 0.15
    gap_s: float = 2.0
    slots: int = 4
    timeout_ms: float = 3000.0
    probe_s: float = 5.0
    offline: bool = False
    weights: Weights = field(default_factory=Weights)

    def power_model(self) -> PowerModel:
        """What the controller is told of the powers."""
        power = self.power
        return PowerModel(
            local_w=power.computing_w,
            wait_w=power.waiting_w,
            radio_w=power.sending_w_per_mbps * self.path.uplink_mbps,
            radio_j_per_mb=0.0,
        )


JETSON_WAN: Final = CostProfile(
    name="jetson-wan",
    local=(Speed((110.0, 200.0), 8.0), Speed((170.0, 300.0), 14.0)),
    cloud=(Speed((330.0, 480.0), 15.0), Speed((450.0, 650.0), 25.0)),
    payload_kb=(45.0, 150.0),
    power=Power(idle_w=4.0, computing_w=7.0, waiting_w=5.8, sending_w_per_mbps=0.44, cloud_w=150.0),
    path=Path(rtt_ms=70.0, uplink_mbps=6.0),
)
FAST_LAN: Final = replace(
    JETSON_WAN,
    name="fast-lan",
    local=(Speed((330.0, 600.0), 24.0), Speed((510.0, 900.0), 42.0)),
    cloud=(Speed((60.0, 90.0), 8.0), Speed((90.0, 140.0), 12.0)),
    path=Path(rtt_ms=2.0, uplink_mbps=400.0),
    power=replace(JETSON_WAN.power, waiting_w=5.0, sending_w_per_mbps=0.002),
)
SLOW_WAN: Final = replace(JETSON_WAN, name="slow-wan", path=Path(rtt_ms=300.0, uplink_mbps=1.0, loss=0.002))
OFFLINE: Final = replace(JETSON_WAN, name="offline", offline=True)
CALLS_ONLY: Final = replace(  # where nothing but the cloud's calls is to be spared
    JETSON_WAN,
    name="calls-only",
    weights=Weights(latency_per_s=0.0, energy_per_j=0.0, money_per_call=1.0),
)
PROFILES: Final = {profile.name: profile for profile in (JETSON_WAN, FAST_LAN, SLOW_WAN, OFFLINE, CALLS_ONLY)}


def profile_named(name: str) -> CostProfile:
    """One of `PROFILES`. Raises BenchError where there is none of that name."""
    if name not in PROFILES:
        raise BenchError(f"there is no cost profile {name!r}: use one of {', '.join(PROFILES)}")
    return PROFILES[name]
