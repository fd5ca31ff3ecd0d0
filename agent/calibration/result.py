"""The result of a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from agent.calibration.interval import half_width
from agent.profile.identity import BoardIdentity
from controller.arm import Tier


@dataclass(frozen=True)
class ArmTimings:
    """Time and energy of the answers of one model at one resolution.

    Attributes:
        computing_ms: of each answer, as the server reports it, else the time of the whole call.
        joules: energy of each answer above idle; None if it was not measured.
        doubts: why the time may be wrong.
    """

    tier: Tier
    model: str
    resolution: int
    computing_ms: tuple[float, ...]
    joules: tuple[float | None, ...]
    doubts: tuple[str, ...] = ()

    @property
    def latency_ms(self) -> float:
        """The median computing time."""
        return median(self.computing_ms)

    @property
    def half_width(self) -> float:
        """Half the 95% interval of `latency_ms`, as a share of it; infinite for fewer than six answers."""
        return half_width(self.computing_ms)


@dataclass(frozen=True)
class PeerPath:
    """The network path to one peer; None for values that were not measured."""

    peer: str
    rtt_ms: float | None
    uplink_mbps: float | None


@dataclass(frozen=True)
class Calibration:
    """Everything that was measured on a machine.

    Attributes:
        power_source: name of the power sensor; None if there is none.
        idle_w: mean power without requests.
        arms: timings of every model at every resolution.
        paths: network paths to the peers.
        memory_available_mb: before the calibration, in MiB.
        server_mb: memory of the board's own model server, in MiB.
        skipped: what could not be measured, and why.
        power_mode: the power mode during the calibration; None if the board has none.
    """

    board: BoardIdentity
    power_source: str | None
    idle_w: float | None
    arms: tuple[ArmTimings, ...]
    paths: tuple[PeerPath, ...]
    memory_available_mb: float
    server_mb: float | None
    skipped: tuple[str, ...]
    power_mode: str | None = None

    @property
    def doubts(self) -> tuple[str, ...]:
        """What was measured but may be wrong, and why."""
        return tuple(doubt for arm in self.arms for doubt in arm.doubts)

    def power_w(self, tier: Tier) -> float | None:
        """Returns the mean power above idle during answers of a tier; None unless all were measured."""
        arms = [arm for arm in self.arms if arm.tier == tier]
        joules = [known for arm in arms for known in arm.joules]
        if not joules or None in joules:
            return None
        seconds = sum(ms for arm in arms for ms in arm.computing_ms) / 1e3
        return sum(known for known in joules if known is not None) / seconds

    def models(self, tier: Tier) -> dict[str, list[ArmTimings]]:
        """Returns the arms of a tier by the name of their model."""
        models: dict[str, list[ArmTimings]] = {}
        for arm in self.arms:
            if arm.tier == tier:
                models.setdefault(arm.model, []).append(arm)
        return models

    @property
    def nearest(self) -> PeerPath | None:
        """The path with the shortest round trip."""
        known: Sequence[PeerPath] = [path for path in self.paths if path.rtt_ms is not None]
        return min(known, key=lambda path: path.rtt_ms or 0.0, default=None)
