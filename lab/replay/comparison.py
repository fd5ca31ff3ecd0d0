"""Compares policies on several drift scripts, at equal accuracy.

Each policy runs at each floor. The rivals run at all values of their knobs too, because their cost is read at
the accuracy of another policy: from the best mixture of all rivals in hindsight, the same in all phases, or
another in each phase. These mixtures may include always-edge and always-cloud.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.replay.ablations import ABLATIONS, default_knob
from lab.replay.drift_phases import DriftReplay, DriftReplays
from lab.replay.hindsight import fixed_cost, switching_cost
from lab.replay.lineup import LINEUP, OURS
from lab.replay.replay_cache import ReplayCache
from lab.replay.runner import ReplayTask
from lab.replay.script_figures import ScriptFigures, script_figures
from lab.sim.dataset import Half
from lab.sim.drift_scripts import script_named

ALWAYS: Final = ("always-edge", "always-cloud")
Key = tuple[str, float]  # a policy and its knob


@dataclass(frozen=True)
class Comparison:
    """The options of a comparison."""

    trace: Path
    policies: tuple[str, ...]
    scripts: tuple[str, ...]
    floors: tuple[float, ...]
    seeds: int = 3
    count: int = 1800
    profile: str = "jetson-wan"
    half: Half = "report"

    def rows(self) -> Iterator[Key]:
        """Yields the policies that get a row of their own, each with its knob."""
        for policy in self.policies:
            for floor in self.floors:
                yield policy, floor if has_floor(policy) else default_knob(policy)
                if not has_floor(policy):
                    break

    def candidates(self) -> Iterator[Key]:
        """Yields the fixed policies that may be part of a mixture in hindsight."""
        rivals = [policy for policy in self.policies if policy in LINEUP and policy not in OURS]
        for policy in dict.fromkeys((*rivals, *ALWAYS)):
            if LINEUP[policy].learns != "hindsight":
                floors = self.floors if has_floor(policy) else ()
                for knob in dict.fromkeys((*LINEUP[policy].knobs, *floors)):
                    yield policy, knob

    def tasks(self) -> Iterator[tuple[str, Key, ReplayTask]]:
        """Yields all replays, each with its script and policy."""
        for script in self.scripts:
            for key in dict.fromkeys((*self.rows(), *self.candidates())):
                for seed in range(self.seeds):
                    task = ReplayTask(
                        trace=self.trace,
                        policy=key[0],
                        knob=key[1],
                        seed=seed,
                        profile=self.profile,
                        script=script,
                        count=self.count,
                        half=self.half,
                    )
                    yield script, key, task


@dataclass(frozen=True)
class ComparedPolicy:
    """A policy on one script.

    Attributes:
        against_rivals: cost above the best mixture of the rivals in hindsight, at the same accuracy; NaN if
            the policy is the only rival.
        against_switching: cost above the best mixture of all fixed policies that may differ between phases.
    """

    script: str
    policy: str
    floor: float
    figures: ScriptFigures
    against_rivals: float
    against_switching: float


def compare(
    comparison: Comparison, cache: ReplayCache, *, processes: int | None = None
) -> list[ComparedPolicy]:
    """Returns the rows; runs what is not in the cache. Raises TraceError or BenchError."""
    planned = list(comparison.tasks())
    replays: dict[tuple[str, Key], list[DriftReplay]] = defaultdict(list)
    finished = cache.run([task for _, _, task in planned], processes=processes)
    for (script, key, _), replay in zip(planned, finished, strict=True):
        replays[script, key].append(replay.drift)
    rows = []
    for script in comparison.scripts:
        candidates = {key: DriftReplays.of(replays[script, key]) for key in comparison.candidates()}
        for key in comparison.rows():
            own = DriftReplays.of(replays[script, key])
            floor = key[1] if has_floor(key[0]) else max(comparison.floors)
            figures = script_figures(own, script_named(script), floor)
            others = [replays for (policy, _), replays in candidates.items() if policy != key[0]]
            rivals = {policy for policy, _ in candidates} - {key[0], *ALWAYS}
            fixed = fixed_cost(others, figures.accuracy) if rivals else math.nan
            switching = switching_cost(list(candidates.values()), figures.accuracy)
            rows.append(
                ComparedPolicy(
                    script, key[0], floor, figures, figures.cost / fixed - 1, figures.cost / switching - 1
                )
            )
    return rows


def has_floor(policy: str) -> bool:
    """Returns whether a policy's knob is the share of the reference's accuracy that it should keep."""
    return policy in ABLATIONS or policy in OURS or policy.startswith("two-stage")
