"""The findings of a report: the figures of all its replays."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lab.replay.comparison import ALWAYS
from lab.replay.drift_phases import DriftReplays
from lab.replay.replay_cache import FinishedReplay, ReplayCache
from lab.replay.summary import Summary
from lab.report.plan import CANDIDATES, YARDSTICK, Key, ReportPlan, Section
from lab.sim.dataset import Matrix
from lab.sim.drift_scripts import STEADY


@dataclass
class Findings:
    """The figures of all replays; sums have shape (seeds, groups, measures).

    Attributes:
        summaries, sums: of the steady replays, by policy and knob.
        drifts: by script, then policy and knob; for the steady script only the controller and yardsticks.
        regimes: sums by cost profile and policy.
        ablations, ablated_drifts: by name of the ablation, steady and with drift.
    """

    plan: ReportPlan
    summaries: dict[Key, list[Summary]] = field(default_factory=dict)
    sums: dict[Key, Matrix] = field(default_factory=dict)
    drifts: dict[tuple[str, Key], DriftReplays] = field(default_factory=dict)
    regimes: dict[tuple[str, str], Matrix] = field(default_factory=dict)
    ablations: dict[str, Matrix] = field(default_factory=dict)
    ablated_drifts: dict[str, DriftReplays] = field(default_factory=dict)

    def mean(self, key: Key, name: str) -> float:
        """Returns a figure of a steady policy, as the mean over its seeds."""
        return mean_of([float(str(summary.row()[name])) for summary in self.summaries[key]])

    def candidates(self, script: str) -> dict[str, DriftReplays]:
        """Returns the policies among which the optimum of each phase is chosen."""
        return {
            f"{policy} {knob:g}": replays
            for (name, (policy, knob)), replays in self.drifts.items()
            if name == script and policy in CANDIDATES
        }


def mean_of(values: Sequence[float]) -> float:
    """Returns the mean of the values that are not NaN; NaN if there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def run_plan(plan: ReportPlan, cache: Path, progress: Callable[[int, int], None]) -> Findings:
    """Runs all replays of a plan.

    Args:
        cache: folder of finished replays, which are not run again.
        progress: called with the number of finished replays and their total number.

    Raises:
        TraceError, BenchError: the trace cannot be read or used.
    """
    planned = list(plan.tasks())
    by_policy: dict[tuple[Section, str, str, Key], list[FinishedReplay]] = defaultdict(list)
    store = ReplayCache.of(cache, plan.trace)
    results = store.run((task for _, task in planned), processes=plan.processes)
    for done, ((section, task), replay) in enumerate(zip(planned, results, strict=True), start=1):
        by_policy[section, task.script, task.profile, (task.policy, task.knob)].append(replay)
        progress(done, len(planned))
    findings = Findings(plan)
    for (section, script, profile, key), replays in by_policy.items():
        drifts = [replay.drift for replay in replays]
        if section == "steady":
            findings.summaries[key] = [replay.summary for replay in replays]
            findings.sums[key] = _stacked(replays)
            if key == plan.ours or key[0] in (YARDSTICK, *ALWAYS):
                findings.drifts[script, key] = DriftReplays.of(drifts)
        elif section == "drift":
            findings.drifts[script, key] = DriftReplays.of(drifts)
        elif section == "regime":
            findings.regimes[profile, key[0]] = _stacked(replays)
        elif script != STEADY.name:
            findings.ablated_drifts[key[0]] = DriftReplays.of(drifts)
        else:
            findings.ablations[key[0]] = _stacked(replays)
    _pad_groups(findings)
    return findings


def _stacked(replays: list[FinishedReplay]) -> Matrix:
    groups = max(len(replay.sums) for replay in replays)
    return np.stack([_padded(replay.sums, groups) for replay in replays])


def _padded(sums: Matrix, groups: int) -> Matrix:
    return np.pad(sums, ((0, groups - len(sums)), (0, 0)))


def _pad_groups(findings: Findings) -> None:
    """Pads all sums to the same number of groups, so that they can be resampled together."""
    tables = (findings.sums, findings.regimes, findings.ablations)
    groups = max(sums.shape[1] for table in tables for sums in table.values())
    for table in tables:
        for key, sums in table.items():
            table[key] = np.stack([_padded(one, groups) for one in sums])  # type: ignore[index]
