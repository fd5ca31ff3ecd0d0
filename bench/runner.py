"""Runs replays, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bench import trace
from bench.lineup import entry_named
from bench.result import Result, result_of
from bench.setting import Setting
from bench.sim.dataset import Dataset, Half, prepare
from bench.sim.drifts import script_named
from bench.sim.profile import profile_named
from bench.sim.simulator import replay
from bench.sim.stream import Stream, Telling


@dataclass(frozen=True)
class Task:
    """One replay to run; all of it is in these words and numbers, so that any process can."""

    trace: Path
    policy: str
    knob: float
    seed: int
    profile: str = "jetson-wan"
    script: str = "steady"
    count: int = 3000
    half: Half = "report"
    telling: Telling = field(default_factory=Telling)


def run(task: Task) -> Result:
    """Replay one policy. Raises TraceError or BenchError."""
    profile = profile_named(task.profile)
    halves = _halves(task.trace, task.profile)
    dataset, tuning = halves[task.half], halves["tune"]
    stream = Stream(
        dataset, profile, script_named(task.script), count=task.count, seed=task.seed, telling=task.telling
    )
    setting = Setting(tuning, profile, stream, task.seed, task.knob, _fits(task.trace, task.profile))
    policy = entry_named(task.policy).make(setting)
    record = replay(stream, policy, task.policy)
    return result_of(record, stream, tuning.best("cloud"), tuning.best("local"))


def run_all(tasks: Iterable[Task], *, processes: int | None = None) -> Iterator[Result]:
    """Replay all tasks and give their results in the tasks' order."""
    processes = processes or os.cpu_count() or 1
    if processes == 1:
        yield from map(run, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(run, tasks, chunksize=2)


@lru_cache(maxsize=8)
def _halves(path: Path, profile: str) -> dict[Half, Dataset]:
    whole = prepare(_trace(path), profile_named(profile))
    return {"tune": whole.half("tune"), "report": whole.half("report")}


@lru_cache(maxsize=8)
def _fits(path: Path, profile: str) -> dict[str, object]:
    return {}


@lru_cache(maxsize=2)
def _trace(path: Path) -> trace.Trace:
    return trace.read(path)
