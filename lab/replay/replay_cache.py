"""A cache of finished replays on disk: what did not change does not run again.

A replay is stored under a digest of its task, of the trace, and of the code that it depends on. Rivals do
not depend on the controller, so that their replays stay valid while the controller changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

import controller
import lab.policies
import lab.sim
from agent.answering import normalise
from lab.policies import inarvl
from lab.replay import (
    ablations,
    bootstrap,
    drift_phases,
    lineup,
    policy_inputs,
    replay_result,
    runner,
    summary,
    warm_start,
)
from lab.replay.bootstrap import group_sums
from lab.replay.drift_phases import DriftReplay
from lab.replay.lineup import LINEUP, OURS
from lab.replay.runner import ReplayTask, prepare_tasks, run_replay, run_tasks
from lab.replay.summary import Summary, summarise
from lab.sim.dataset import Matrix
from lab.trace import trace

# What the replays of rivals depend on, and the controller's too. What only evaluates replays is not here.
SHARED: Final = (
    *(lab.sim, lab.policies, trace, normalise),
    *(bootstrap, drift_phases, lineup, policy_inputs, replay_result, runner, summary),
)
OURS_TOO: Final = (controller, inarvl, ablations, warm_start)
MOST_FILES: Final = 20_000


@dataclass(frozen=True)
class FinishedReplay:
    """What comparisons and reports need of a replay.

    Attributes:
        sums: by group of questions and measure.
        drift: the values per question.
    """

    summary: Summary
    sums: Matrix
    drift: DriftReplay


@dataclass(frozen=True)
class ReplayCache:
    """A folder of finished replays.

    Attributes:
        ours: digest of the trace and of all code that the controller's replays depend on.
        rivals: the same without the controller.
    """

    folder: Path
    ours: str
    rivals: str

    @classmethod
    def of(cls, folder: Path, recorded: Path) -> ReplayCache:
        """Computes the digests of a trace and of the present code; deletes the oldest of too many files."""
        digest = hashlib.sha256(recorded.read_bytes())
        digest.update(repr(controller.FEATURES).encode())
        for path in _code(SHARED):
            if path.name != Path(inarvl.__file__).name:
                digest.update(path.read_bytes())
        rivals = digest.hexdigest()
        for path in _code(OURS_TOO):
            digest.update(path.read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        stored = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in stored[:-MOST_FILES]:
            path.unlink(missing_ok=True)
        return cls(folder, digest.hexdigest(), rivals)

    def run(self, tasks: Iterable[ReplayTask], *, processes: int | None = None) -> Iterator[FinishedReplay]:
        """Yields the replays of the tasks in order; those that are not stored run first, on all cores.

        Raises:
            TraceError, BenchError: the trace cannot be read or used.
        """
        wanted = list(tasks)
        missing = [task for task in wanted if not self._path(task).exists()]
        prepare_tasks(missing, processes=processes)
        running = run_tasks(missing, self.get, processes=processes)
        unfinished = set(missing)
        for task in wanted:
            if task in unfinished:
                unfinished.discard(task)
                yield next(running)
            else:
                yield self.get(task)

    def get(self, task: ReplayTask) -> FinishedReplay:
        """Returns a task's replay from the cache, or runs and stores it. Raises TraceError or BenchError."""
        path = self._path(task)
        if path.exists():
            return _read(path)
        result = run_replay(task)
        groups = int(result.groups.max()) + 1
        replay = FinishedReplay(summarise(result), group_sums(result, groups), DriftReplay.of(result))
        _write(path, replay)
        return replay

    def _path(self, task: ReplayTask) -> Path:
        rival = task.policy in LINEUP and task.policy not in OURS
        key = f"{self.rivals if rival else self.ours} {task}"
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def default_folder() -> Path:
    """Returns the folder of finished replays in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inarvl-bench"


def _code(modules: Sequence[ModuleType]) -> list[Path]:
    """Returns the files of modules, and of the whole packages among them."""
    paths: list[Path] = []
    for module in modules:
        file = Path(module.__file__ or "")
        paths += sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return paths


def _write(path: Path, replay: FinishedReplay) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        figures = np.array(json.dumps(asdict(replay.summary)))
        np.savez_compressed(file, summary=figures, sums=replay.sums, **asdict(replay.drift))
    partial.replace(path)


def _read(path: Path) -> FinishedReplay:
    with np.load(path) as arrays:
        figures = Summary(**json.loads(str(arrays["summary"])))
        names = [name for name in arrays.files if name not in ("summary", "sums")]
        return FinishedReplay(figures, arrays["sums"], DriftReplay(**{name: arrays[name] for name in names}))
