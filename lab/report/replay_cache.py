"""A cache of finished replays on disk, from which an interrupted report continues."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import controller
import lab
from lab.replay.bootstrap import group_sums
from lab.replay.drift_phases import DriftReplay
from lab.replay.runner import ReplayTask, run_replay
from lab.replay.summary import Summary, summarise
from lab.sim.dataset import Matrix


@dataclass(frozen=True)
class FinishedReplay:
    """What a report needs of a replay.

    Attributes:
        sums: by group of questions and measure.
        drift: the values per question; None for a steady replay.
    """

    summary: Summary
    sums: Matrix
    drift: DriftReplay | None


@dataclass(frozen=True)
class ReplayCache:
    """A folder of finished replays.

    Attributes:
        fingerprint: of the trace and of the code; replays with another fingerprint are ignored.
    """

    folder: Path
    fingerprint: str

    @classmethod
    def of(cls, folder: Path, trace: Path) -> ReplayCache:
        """Computes the fingerprint of a trace and of the present code."""
        digest = hashlib.sha256(trace.read_bytes())
        for package in (lab, controller):
            for root in package.__path__:
                for path in sorted(Path(root).rglob("*.py")):
                    digest.update(path.read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, digest.hexdigest())

    def get(self, task: ReplayTask) -> FinishedReplay:
        """Returns a task's replay from the cache, or runs and caches it. Raises TraceError or BenchError."""
        key = hashlib.sha256(f"{self.fingerprint} {task}".encode()).hexdigest()[:32]
        path = self.folder / f"{key}.npz"
        if path.exists():
            return _read(path)
        replay = _run(task)
        _write(path, replay)
        return replay


def _run(task: ReplayTask) -> FinishedReplay:
    result = run_replay(task)
    groups = int(result.groups.max()) + 1
    drift = DriftReplay.of(result) if result.phase.any() else None
    return FinishedReplay(summarise(result), group_sums(result, groups), drift)


def _write(path: Path, replay: FinishedReplay) -> None:
    drift = {} if replay.drift is None else asdict(replay.drift)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, summary=np.array(json.dumps(asdict(replay.summary))), sums=replay.sums, **drift)
    partial.replace(path)


def _read(path: Path) -> FinishedReplay:
    with np.load(path) as arrays:
        summary = Summary(**json.loads(str(arrays["summary"])))
        names = [name for name in arrays.files if name not in ("summary", "sums")]
        drift = DriftReplay(**{name: arrays[name] for name in names}) if names else None
        return FinishedReplay(summary, arrays["sums"], drift)
