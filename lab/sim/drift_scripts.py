"""Drift scripts: how the conditions change during a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lab.errors import BenchError

Pool = Literal["all", "easy", "hard", "clean", "degraded"]


@dataclass(frozen=True)
class Conditions:
    """The conditions of one phase.

    Attributes:
        rtt_factor: multiplies the profile's round trip.
        uplink_mbps: upper limit of the uplink; None for the profile's own.
        down: the cloud cannot be reached, and requests that are sent get lost.
        other_gpu: share of the board's GPU that other programs use.
        clock: the board's clock as a share of its maximum, by its power mode.
        ambient_c: air temperature around the board.
        cloud_wrong: share of the cloud's right answers that a worse model turns wrong.
        pool: which questions are asked.
    """

    rtt_factor: float = 1.0
    uplink_mbps: float | None = None
    down: bool = False
    other_gpu: float = 0.0
    clock: float = 1.0
    ambient_c: float = 30.0
    cloud_wrong: float = 0.0
    pool: Pool = "all"


@dataclass(frozen=True)
class Phase:
    """A part of a replay that contains `share` of its questions."""

    name: str
    share: float
    conditions: Conditions


@dataclass(frozen=True)
class DriftScript:
    """Phases in order; their shares add up to 1."""

    name: str
    phases: tuple[Phase, ...]

    def starts(self, count: int) -> list[int]:
        """Returns the number of the first question of each phase, for `count` questions in total."""
        starts, share_before = [], 0.0
        for phase in self.phases:
            starts.append(round(share_before * count))
            share_before += phase.share
        return starts


def _temporary(name: str, during: Conditions, otherwise: Conditions | None = None) -> DriftScript:
    normal = otherwise or Conditions()
    third = 1 / 3
    return DriftScript(
        name, (Phase("before", third, normal), Phase("during", third, during), Phase("after", third, normal))
    )


STEADY: Final = DriftScript("steady", (Phase("steady", 1.0, Conditions()),))
DRIFTS: Final = {
    script.name: script
    for script in (
        _temporary("rtt-x4", Conditions(rtt_factor=4.0)),
        _temporary("uplink-1mbps", Conditions(uplink_mbps=1.0)),
        _temporary("cloud-outage", Conditions(down=True)),
        _temporary("gpu-load", Conditions(other_gpu=0.6)),
        _temporary("power-mode", Conditions(clock=0.5)),
        _temporary("hot", Conditions(ambient_c=62.0)),
        _temporary("content-swap", Conditions(pool="hard"), Conditions(pool="easy")),
        _temporary("camera-degrades", Conditions(pool="degraded"), Conditions(pool="clean")),
        _temporary("worse-cloud", Conditions(cloud_wrong=0.25)),
    )
}
SCRIPTS: Final = {STEADY.name: STEADY, **DRIFTS}


def script_named(name: str) -> DriftScript:
    """Returns one of `SCRIPTS`. Raises BenchError for an unknown name."""
    if name not in SCRIPTS:
        raise BenchError(f"unknown drift script {name!r}: use one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
