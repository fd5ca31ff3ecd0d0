"""Runs replays, on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from lab.errors import BenchError
from lab.policies.rival import Static
from lab.replay.ablations import maker_named
from lab.replay.policy_inputs import Setting
from lab.replay.replay_result import Result, result_of
from lab.replay.summary import Summary, summarise
from lab.sim.cost_profile import profile_named
from lab.sim.dataset import Dataset, Half, prepare
from lab.sim.drift_scripts import script_named
from lab.sim.replay_record import Record
from lab.sim.simulator import replay
from lab.sim.workload import Stream, Telling
from lab.trace import trace

T = TypeVar("T")


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
    setting = setting_of(task)
    tuning = setting.tuning
    return result_of(_replayed(task, setting), setting.stream, tuning.best("cloud"), tuning.best("local"))


def _replayed(task: Task, setting: Setting) -> Record:
    try:
        policy = maker_named(task.policy)(setting)
    except ModuleNotFoundError as error:
        raise BenchError(f"{task.policy} needs {error.name}: pip install './lab[bench]'") from error
    if isinstance(policy, Static):
        policy.ranking = setting.ranking
    return replay(setting.stream, policy, task.policy)


def run_all(tasks: Iterable[Task], work: Callable[[Task], T], *, processes: int | None = None) -> Iterator[T]:
    """What `work`, which can be sent to another process, makes of each task, in the tasks' order."""
    processes = processes or os.cpu_count() or 1
    if processes == 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _single_threaded) as pool:
        yield from pool.imap(work, tasks)


def summary_of(task: Task) -> Summary:
    """The figures of one replay. Raises TraceError or BenchError."""
    return summarise(run(task))


def digest_of(task: Task) -> str:
    """SHA-256 of all decisions and figures of one replay. Raises TraceError or BenchError."""
    return _replayed(task, setting_of(task)).digest()


def dataset_of(trace: Path, profile: str, half: Half) -> Dataset:
    """A half of a trace on a profile's machines. Raises TraceError or BenchError."""
    return _halves(trace, profile)[half]


def setting_of(task: Task) -> Setting:
    """What a task's policy is made from. Raises TraceError or BenchError."""
    profile = profile_named(task.profile)
    halves = _halves(task.trace, task.profile)
    stream = Stream(
        halves[task.half],
        profile,
        script_named(task.script),
        count=task.count,
        seed=task.seed,
        telling=task.telling,
    )
    fits = _fits(task.trace, task.profile)
    return Setting(halves["tune"], profile, stream, task.seed, task.knob, fits)


def _single_threaded() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


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
