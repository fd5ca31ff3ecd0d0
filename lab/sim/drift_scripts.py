"""Drift scripts: how the world changes in the course of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lab.errors import BenchError

Pool = Literal["all", "easy", "hard", "clean", "degraded"]


@dataclass(frozen=True)
class Conditions:
    """The world in one phase.

    Attributes:
        rtt_factor: multiplies the profile's round trip.
        uplink_mbps: what the uplink is held to; None leaves it at the profile's.
        down: the cloud cannot be reached, and what is sent vanishes.
        other_gpu: share of the board's GPU that other programs take.
        clock: the board's clock as a share of its greatest, by its power mode.
        ambient_c: of the air around the board.
        cloud_wrong: share of the cloud's answers that a worse model spoils.
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
    """A stretch of a replay; `share` of its questions."""

    name: str
    share: float
    conditions: Conditions


@dataclass(frozen=True)
class Script:
    """Phases in their order; their shares add up to 1."""

    name: str
    phases: tuple[Phase, ...]

    def starts(self, count: int) -> list[int]:
        """Number of the first question of each phase, of `count` in all."""
        starts, passed = [], 0.0
        for phase in self.phases:
            starts.append(round(passed * count))
            passed += phase.share
        return starts


def _there_and_back(name: str, during: Conditions, otherwise: Conditions | None = None) -> Script:
    normal = otherwise or Conditions()
    third = 1 / 3
    return Script(
        name, (Phase("before", third, normal), Phase("during", third, during), Phase("after", third, normal))
    )


STEADY: Final = Script("steady", (Phase("steady", 1.0, Conditions()),))
DRIFTS: Final = {
    script.name: script
    for script in (
        _there_and_back("rtt-x4", Conditions(rtt_factor=4.0)),
        _there_and_back("uplink-1mbps", Conditions(uplink_mbps=1.0)),
        _there_and_back("cloud-outage", Conditions(down=True)),
        _there_and_back("gpu-load", Conditions(other_gpu=0.6)),
        _there_and_back("power-mode", Conditions(clock=0.5)),
        _there_and_back("hot", Conditions(ambient_c=62.0)),
        _there_and_back("content-swap", Conditions(pool="hard"), Conditions(pool="easy")),
        _there_and_back("camera-degrades", Conditions(pool="degraded"), Conditions(pool="clean")),
        _there_and_back("worse-cloud", Conditions(cloud_wrong=0.25)),
    )
}
SCRIPTS: Final = {STEADY.name: STEADY, **DRIFTS}


def script_named(name: str) -> Script:
    """One of `SCRIPTS`. Raises BenchError where there is none of that name."""
    if name not in SCRIPTS:
        raise BenchError(f"there is no drift script {name!r}: use one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
