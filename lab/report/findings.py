"""What is run for a report, and what is kept of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from lab.replay.ablations import ABLATIONS
from lab.replay.drift_phases import Series
from lab.replay.lineup import ENTRIES, OURS
from lab.replay.runner import Task, run_all
from lab.replay.summary import Summary
from lab.report.replay_cache import Piece, Pieces
from lab.sim.dataset import Matrix
from lab.sim.drift_scripts import DRIFTS

Section = Literal["steady", "drift", "regime", "ablation"]
Key = tuple[str, float]  # a policy and its knob

CANDIDATES: Final = ("always-edge", "always-cloud", "cascade-isotonic")  # for the optimum of a segment
DRIFTING: Final = ("always-cloud", "static-pareto", "linucb-discounted", "paretobandit")
REGIMES: Final = ("fast-lan", "slow-wan", "offline")
IN_REGIMES: Final = ("inarvl", "always-edge", "always-cloud", "static-pareto", "cascade-isotonic")
ABLATED_DRIFT: Final = "content-swap"


@dataclass(frozen=True)
class Plan:
    """How much is run.

    Attributes:
        floor: the controller's, in all but the sweep over floors.
        policies, scripts, ablations, regimes: which of them; the controller, the two static choices
            and the oracle must be among the policies, and fast-lan among the regimes.
        count, drift_count: questions in a replay, steady and drifting.
    """

    trace: Path
    seeds: int = 20
    count: int = 3000
    drift_count: int = 1800
    floor: float = 0.99
    profile: str = "jetson-wan"
    processes: int | None = None
    policies: tuple[str, ...] = tuple(ENTRIES)
    scripts: tuple[str, ...] = tuple(DRIFTS)
    ablations: tuple[str, ...] = tuple(ABLATIONS)
    regimes: tuple[str, ...] = REGIMES

    @property
    def ours(self) -> Key:
        """The controller at its floor."""
        return "inarvl", self.floor

    def knobs(self, policy: str) -> tuple[float, ...]:
        """What a policy is run at: for the controller its floor first."""
        knobs = ENTRIES[policy].knobs
        if policy in OURS:
            return self.floor, *(knob for knob in knobs if knob != self.floor)
        return knobs

    def default(self, policy: str) -> float:
        """What a policy is run at where it is not swept."""
        return self.knobs(policy)[0]

    def tasks(self) -> Iterator[tuple[Section, Task]]:
        """All replays."""
        for policy in self.policies:
            for knob in self.knobs(policy):
                yield from self._seeded("steady", policy, knob)
        for script in self.scripts:
            for policy, knob in self._drifting():
                yield from self._seeded("drift", policy, knob, script=script)
        for profile in self.regimes:
            for policy in IN_REGIMES:
                yield from self._seeded("regime", policy, self.default(policy), profile=profile)
        for name in self.ablations:
            yield from self._seeded("ablation", name, self.floor)
            if not name.startswith("audits") and ABLATED_DRIFT in self.scripts:
                yield from self._seeded("ablation", name, self.floor, script=ABLATED_DRIFT)

    def _drifting(self) -> Iterator[Key]:
        yield self.ours
        for policy in dict.fromkeys((*DRIFTING, *CANDIDATES)):
            if policy not in self.policies and policy not in CANDIDATES:
                continue
            for knob in ENTRIES[policy].knobs if policy in CANDIDATES else ENTRIES[policy].knobs[:1]:
                yield policy, knob

    def _seeded(
        self, section: Section, policy: str, knob: float, *, script: str = "steady", profile: str = ""
    ) -> Iterator[tuple[Section, Task]]:
        count = self.count if script == "steady" else self.drift_count
        for seed in range(self.seeds):
            yield (
                section,
                Task(self.trace, policy, knob, seed, profile or self.profile, script=script, count=count),
            )


@dataclass
class Findings:
    """Everything that was found; tallies have shape (seeds, groups, measures)."""

    plan: Plan
    summaries: dict[Key, list[Summary]] = field(default_factory=dict)
    tallies: dict[Key, Matrix] = field(default_factory=dict)
    courses: dict[tuple[str, Key], Series] = field(default_factory=dict)
    regimes: dict[tuple[str, str], Matrix] = field(default_factory=dict)
    ablations: dict[str, Matrix] = field(default_factory=dict)
    ablated_courses: dict[str, Series] = field(default_factory=dict)

    def mean(self, key: Key, name: str) -> float:
        """A figure of a steady policy, over its seeds."""
        return mean_of([float(str(summary.row()[name])) for summary in self.summaries[key]])

    def candidates(self, script: str) -> dict[str, Series]:
        """Those that the optimum of each phase is picked from."""
        return {
            f"{policy} {knob:g}": series
            for (name, (policy, knob)), series in self.courses.items()
            if name == script and policy in CANDIDATES
        }


def mean_of(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN when none is."""
    told = [value for value in values if not math.isnan(value)]
    return float(np.mean(told)) if told else math.nan


def run_study(plan: Plan, kept: Path, progress: Callable[[int, int], None]) -> Findings:
    """Run all of a plan; `progress` is told how many replays are done, of how many.

    Args:
        kept: folder of finished replays, which are not run again.

    Raises:
        TraceError, BenchError: the trace cannot be read or used.
    """
    planned = list(plan.tasks())
    sections: dict[tuple[Section, str, str, Key], list[Piece]] = defaultdict(list)
    store = Pieces.of(kept, plan.trace)
    pieces = run_all((task for _, task in planned), store.piece, processes=plan.processes)
    for done, ((section, task), piece) in enumerate(zip(planned, pieces, strict=True), start=1):
        sections[section, task.script, task.profile, (task.policy, task.knob)].append(piece)
        progress(done, len(planned))
    findings = Findings(plan)
    for (section, script, profile, key), held in sections.items():
        course = [piece.course for piece in held if piece.course is not None]
        if section == "steady":
            findings.summaries[key] = [piece.summary for piece in held]
            findings.tallies[key] = _stacked(held)
        elif section == "drift":
            findings.courses[script, key] = Series.of(course)
        elif section == "regime":
            findings.regimes[profile, key[0]] = _stacked(held)
        elif course:
            findings.ablated_courses[key[0]] = Series.of(course)
        else:
            findings.ablations[key[0]] = _stacked(held)
    _level(findings)
    return findings


def _stacked(pieces: list[Piece]) -> Matrix:
    groups = max(len(piece.tally) for piece in pieces)
    return np.stack([_padded(piece.tally, groups) for piece in pieces])


def _padded(tallies: Matrix, groups: int) -> Matrix:
    return np.pad(tallies, ((0, groups - len(tallies)), (0, 0)))


def _level(findings: Findings) -> None:
    """Give all tallies the same number of groups, so that they are resampled together."""
    held = (findings.tallies, findings.regimes, findings.ablations)
    groups = max(tallies.shape[1] for table in held for tallies in table.values())
    for table in held:
        for key, tallies in table.items():
            table[key] = np.stack([_padded(one, groups) for one in tallies])  # type: ignore[index]
