"""Runs replays, on one or several cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from lab.errors import BenchError
from lab.policies.rival import Rival
from lab.replay.ablations import maker_named
from lab.replay.policy_inputs import PolicyInputs
from lab.replay.replay_result import ReplayResult, result_of
from lab.replay.summary import Summary, summarise
from lab.sim.cost_profile import profile_named
from lab.sim.dataset import Dataset, Half, prepare
from lab.sim.drift_scripts import script_named
from lab.sim.replay_record import ReplayRecord
from lab.sim.simulator import replay
from lab.sim.workload import Feedback, Workload
from lab.trace.trace import Trace, read_trace

T = TypeVar("T")


@dataclass(frozen=True)
class ReplayTask:
    """One replay to run, described by texts and numbers only, so that any process can run it."""

    trace: Path
    policy: str
    knob: float
    seed: int
    profile: str = "jetson-wan"
    script: str = "steady"
    count: int = 3000
    half: Half = "report"
    feedback: Feedback = field(default_factory=Feedback)


def run_tasks(
    tasks: Iterable[ReplayTask], work: Callable[[ReplayTask], T], *, processes: int | None = None
) -> Iterator[T]:
    """Yields the results of `work`, which must be picklable, in the order of the tasks."""
    processes = processes or os.cpu_count() or 1
    if processes == 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _use_one_thread) as pool:
        yield from pool.imap(work, tasks)


def run_replay(task: ReplayTask) -> ReplayResult:
    """Replays one policy. Raises TraceError or BenchError."""
    inputs = inputs_of(task)
    tuning = inputs.tuning
    record = _record(task, inputs)
    return result_of(record, inputs.workload, tuning.best_column("cloud"), tuning.best_column("local"))


def summary_of(task: ReplayTask) -> Summary:
    """Returns the figures of one replay. Raises TraceError or BenchError."""
    return summarise(run_replay(task))


def digest_of(task: ReplayTask) -> str:
    """Returns the SHA-256 of all decisions and figures of one replay. Raises TraceError or BenchError."""
    return _record(task, inputs_of(task)).digest()


def dataset_of(trace: Path, profile: str, half: Half) -> Dataset:
    """Returns a half of a trace on a profile's machines. Raises TraceError or BenchError."""
    return _halves(trace, profile)[half]


def inputs_of(task: ReplayTask) -> PolicyInputs:
    """Returns the inputs of a task's policy. Raises TraceError or BenchError."""
    profile = profile_named(task.profile)
    halves = _halves(task.trace, task.profile)
    workload = Workload(
        halves[task.half],
        profile,
        script_named(task.script),
        count=task.count,
        seed=task.seed,
        feedback=task.feedback,
    )
    fit_cache = _fit_cache(task.trace, task.profile)
    return PolicyInputs(halves["tune"], profile, workload, task.seed, task.knob, fit_cache)


def _record(task: ReplayTask, inputs: PolicyInputs) -> ReplayRecord:
    try:
        policy = maker_named(task.policy)(inputs)
    except ModuleNotFoundError as error:
        raise BenchError(f"{task.policy} needs {error.name}: pip install './lab[bench]'") from error
    if isinstance(policy, Rival):
        policy.ranking = inputs.ranking
    return replay(inputs.workload, policy, task.policy)


def _use_one_thread() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


@lru_cache(maxsize=8)
def _halves(path: Path, profile: str) -> dict[Half, Dataset]:
    whole = prepare(_trace(path), profile_named(profile))
    return {"tune": whole.half("tune"), "report": whole.half("report")}


@lru_cache(maxsize=8)
def _fit_cache(path: Path, profile: str) -> dict[str, object]:
    return {}


@lru_cache(maxsize=2)
def _trace(path: Path) -> Trace:
    return read_trace(path)
