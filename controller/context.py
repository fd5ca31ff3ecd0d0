"""What is known when a question must be placed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from controller.arm import Arm, Tier
from controller.signals import Signals

Mode = Literal["auto", "local", "cloud"]


@dataclass(frozen=True)
class DeviceState:
    """The board's latest readings; None where nothing measures them.

    Loads are shares of all there is, 0 to 1. `clock_ratio` is the highest clock that heat and power mode
    allow now over the hardware's own, of the CPU or the GPU, whichever is held down more; `throttled` whether
    heat or power holds it down. `memory_pressure` is the share of the last ten seconds in which something
    waited for memory.
    """

    cpu_load: float | None = None
    gpu_load: float | None = None
    memory_available_mb: float | None = None
    temp_c: float | None = None
    battery_pct: float | None = None
    power_w: float | None = None
    clock_ratio: float | None = None
    throttled: bool | None = None
    power_mode: str | None = None
    memory_pressure: float | None = None


@dataclass(frozen=True)
class LinkState:
    """The network path to one server as last estimated; None where not yet measured."""

    rtt_ms: float | None = None
    jitter_ms: float | None = None
    uplink_mbps: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Option:
    """An arm that could be used now, with what using it would meet.

    Attributes:
        payload_bytes: size of the request that would be sent (image at the arm's resolution, encoded).
        queue: requests already waiting at the arm's server, as far as this device knows.
        link: the path to the server; None for the board itself.
        memory_mb: what running it still needs on the board, None when its server already holds it.
        blocked: why it cannot be used now, in words; None when it can.
        money: predicted price of a call, in units of a currency; 0 for a free one or one without a price.
        vouched: whether a person named its server, so that its answers count from the first one on.
    """

    arm: Arm
    payload_bytes: int = 0
    queue: int = 0
    link: LinkState | None = None
    memory_mb: float | None = None
    blocked: str | None = None
    money: float = 0.0
    vouched: bool = False


@dataclass(frozen=True)
class Context:
    """One question and the state of everything at the moment it must be placed.

    Attributes:
        scrutiny: how many times as likely as those of other questions an audit of its answer should be.
    """

    signals: Signals
    options: tuple[Option, ...]
    device: DeviceState = field(default_factory=DeviceState)
    deadline_ms: float | None = None
    pin: Tier | None = None
    mode: Mode = "auto"
    scrutiny: float = 1.0
