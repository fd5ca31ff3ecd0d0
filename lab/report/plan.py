"""The plan of a report: which replays it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab.replay.ablations import ABLATIONS
from lab.replay.comparison import has_floor
from lab.replay.lineup import LINEUP
from lab.replay.runner import ReplayTask
from lab.sim.drift_scripts import DRIFTS

Section = Literal["steady", "drift", "regime", "ablation"]
Key = tuple[str, float]  # a policy and its knob

CANDIDATES: Final = ("always-edge", "always-cloud", "cascade-isotonic")  # for the optimum of a phase
DRIFT_POLICIES: Final = ("always-cloud", "static-pareto", "linucb-discounted", "paretobandit")
YARDSTICK: Final = "two-stage"  # at all its floors, for the cost at equal accuracy in every script
REGIMES: Final = ("fast-lan", "slow-wan", "offline", "slow-board", "power-hungry-board")
REGIME_POLICIES: Final = (
    *("inarvl", "always-edge", "always-cloud", "static-pareto", "cascade-isotonic", "two-stage"),
)
ABLATION_DRIFT: Final = "content-swap"


@dataclass(frozen=True)
class ReportPlan:
    """The options of a report.

    Attributes:
        count, drift_count: questions per replay, without and with drift.
        floor: the controller's floor, in all replays but the sweep over floors.
        policies: must include the controller, always-edge, always-cloud and the oracle.
        regimes: cost profiles; must include fast-lan.
    """

    trace: Path
    seeds: int = 20
    count: int = 3000
    drift_count: int = 1800
    floor: float = 0.99
    profile: str = "jetson-wan"
    processes: int | None = None
    policies: tuple[str, ...] = tuple(LINEUP)
    scripts: tuple[str, ...] = tuple(DRIFTS)
    ablations: tuple[str, ...] = tuple(ABLATIONS)
    regimes: tuple[str, ...] = REGIMES

    @property
    def ours(self) -> Key:
        """The controller at its floor."""
        return "inarvl", self.floor

    def knobs(self, policy: str) -> tuple[float, ...]:
        """Returns the knob values of a policy, the default first: the floor, of a policy that has one."""
        knobs = LINEUP[policy].knobs
        if has_floor(policy):
            return self.floor, *(knob for knob in knobs if knob != self.floor)
        return knobs

    def default(self, policy: str) -> float:
        """Returns a policy's default knob value."""
        return self.knobs(policy)[0]

    def tasks(self) -> Iterator[tuple[Section, ReplayTask]]:
        """Yields all replays, each with the section of the report that needs it."""
        for policy in self.policies:
            for knob in self.knobs(policy):
                yield from self._seeded("steady", policy, knob)
        for script in self.scripts:
            for policy, knob in self._drift_policies():
                yield from self._seeded("drift", policy, knob, script=script)
        for profile in self.regimes:
            for policy in REGIME_POLICIES:
                yield from self._seeded("regime", policy, self.default(policy), profile=profile)
        for name in self.ablations:
            yield from self._seeded("ablation", name, self.floor)
            if not name.startswith("audits") and ABLATION_DRIFT in self.scripts:
                yield from self._seeded("ablation", name, self.floor, script=ABLATION_DRIFT)

    def _drift_policies(self) -> Iterator[Key]:
        yield self.ours
        for policy in dict.fromkeys((*DRIFT_POLICIES, *CANDIDATES, YARDSTICK)):
            if policy not in self.policies and policy not in CANDIDATES:
                continue
            for knob in (
                self.knobs(policy) if policy in (*CANDIDATES, YARDSTICK) else LINEUP[policy].knobs[:1]
            ):
                yield policy, knob

    def _seeded(
        self, section: Section, policy: str, knob: float, *, script: str = "steady", profile: str = ""
    ) -> Iterator[tuple[Section, ReplayTask]]:
        count = self.count if script == "steady" else self.drift_count
        for seed in range(self.seeds):
            task = ReplayTask(
                self.trace, policy, knob, seed, profile or self.profile, script=script, count=count
            )
            yield section, task
