"""The conditions under which a replay runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller import Tier

Pool = Literal["all", "easy", "hard", "clean", "degraded"]


@dataclass(frozen=True)
class Conditions:
    """The conditions of one phase; the defaults are undisturbed.

    Attributes:
        rtt_factor: multiplies the profile's round trip.
        uplink_mbps: upper limit of the uplink; None for the profile's own.
        down: the cloud cannot be reached, and requests that are sent get lost.
        other_gpu: share of the board's GPU that other programs use.
        clock: the board's clock as a share of its maximum, by its power mode.
        ambient_c: air temperature around the board.
        gap_factor: multiplies the time between two questions.
        cloud_wrong: share of the cloud's right answers that a worse model turns wrong.
        cloud_slow: multiplies the computing times of the cloud.
        board_wrong: share of the board's answers that a silent fault replaces; their confidence is unchanged.
        absent: the tier whose most accurate model is not available.
        pool: which questions are asked.
    """

    rtt_factor: float = 1.0
    uplink_mbps: float | None = None
    down: bool = False
    other_gpu: float = 0.0
    clock: float = 1.0
    ambient_c: float = 30.0
    gap_factor: float = 1.0
    cloud_wrong: float = 0.0
    cloud_slow: float = 1.0
    board_wrong: float = 0.0
    absent: Tier | None = None
    pool: Pool = "all"
