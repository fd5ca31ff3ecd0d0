"""What `inarvl profile new` finds out about a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from agent.profile.loading import BoardIdentity
from controller.arm import Tier


@dataclass(frozen=True)
class ArmTimings:
    """Some answers of one model at one resolution.

    Attributes:
        computing_ms: of each answer, as the server tells it, else of the whole call.
        joules: of each answer above idle; None where the board's power is not told.
    """

    tier: Tier
    model: str
    resolution: int
    computing_ms: tuple[float, ...]
    joules: tuple[float | None, ...]

    @property
    def latency_ms(self) -> float:
        """The median."""
        return median(self.computing_ms)


@dataclass(frozen=True)
class PeerPath:
    """The path to one peer; None where it was not measured."""

    peer: str
    rtt_ms: float | None
    uplink_mbps: float | None


@dataclass(frozen=True)
class Calibration:
    """All of it.

    Attributes:
        power_source: what told the board's power; None when nothing does.
        idle_w: mean power while nothing was asked.
        server_mb: memory that the board's own model server holds, in MiB.
        skipped: what could not be measured, and why.
    """

    board: BoardIdentity
    power_source: str | None
    idle_w: float | None
    arms: tuple[ArmTimings, ...]
    links: tuple[PeerPath, ...]
    memory_available_mb: float
    server_mb: float | None
    skipped: tuple[str, ...]

    def power_w(self, tier: Tier) -> float | None:
        """Mean power above idle while models of a tier answer; None unless all answers were measured."""
        arms = [arm for arm in self.arms if arm.tier == tier]
        joules = [known for arm in arms for known in arm.joules]
        if not joules or None in joules:
            return None
        seconds = sum(ms for arm in arms for ms in arm.computing_ms) / 1e3
        return sum(known for known in joules if known is not None) / seconds

    def models(self, tier: Tier) -> dict[str, list[ArmTimings]]:
        """Its arms, by the model's name."""
        found: dict[str, list[ArmTimings]] = {}
        for arm in self.arms:
            if arm.tier == tier:
                found.setdefault(arm.model, []).append(arm)
        return found

    @property
    def nearest(self) -> PeerPath | None:
        """The path with the shortest round trip."""
        known: Sequence[PeerPath] = [link for link in self.links if link.rtt_ms is not None]
        return min(known, key=lambda link: link.rtt_ms or 0.0, default=None)
