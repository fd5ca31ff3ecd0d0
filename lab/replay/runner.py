"""Runs replays, on one or several cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from controller import Policy
from lab.errors import BenchError
from lab.policies.rival import Rival
from lab.replay.ablations import maker_named
from lab.replay.policy_inputs import PolicyInputs
from lab.replay.replay_result import ReplayResult, result_of
from lab.replay.summary import Summary, summarise
from lab.sim.cost_profile import profile_named
from lab.sim.dataset import Dataset, Half, prepare
from lab.sim.drift_scripts import script_named
from lab.sim.feedback import Feedback
from lab.sim.replay_record import ReplayRecord
from lab.sim.simulator import replay
from lab.sim.workload import Workload
from lab.trace.trace import Trace, read_trace

T = TypeVar("T")


@dataclass(frozen=True)
class ReplayTask:
    """One replay to run, described by texts and numbers only, so that any process can run it.

    Attributes:
        half: that is replayed. Policies are fitted to the tuning half; if that is replayed, they are fitted
            to a part of it and replayed on the other.
        feedback: None for the script's.
    """

    trace: Path
    policy: str
    knob: float
    seed: int
    profile: str = "jetson-wan"
    script: str = "steady"
    count: int = 3000
    half: Half = "report"
    feedback: Feedback | None = None


class Split(NamedTuple):
    """What policies are fitted to, what is replayed, and the cache of what was fitted."""

    tuning: Dataset
    replayed: Dataset
    fit_cache: dict[str, object]


def run_tasks(
    tasks: Iterable[ReplayTask], work: Callable[[ReplayTask], T], *, processes: int | None = None
) -> Iterator[T]:
    """Yields the results of `work`, which must be picklable, in the order of the tasks."""
    processes = processes or os.cpu_count() or 1
    if processes == 1:
        yield from map(work, tasks)
        return
    # A forked process has the data and the fitted models of this one; elsewhere each process makes its own.
    start = "fork" if sys.platform == "linux" else "spawn"
    with multiprocessing.get_context(start).Pool(processes, _use_one_thread) as pool:
        yield from pool.imap(work, tasks)


def prepare_tasks(tasks: Sequence[ReplayTask], *, processes: int | None = None) -> None:
    """Reads the traces and fits the policies of tasks that will run in several processes.

    Raises:
        TraceError, BenchError: a trace cannot be read or used.
    """
    if processes == 1 or sys.platform != "linux":
        return
    _use_one_thread()  # threads of this process would not exist in its forked children
    for task in dict.fromkeys(_shortest(task) for task in tasks):
        _policy(task, inputs_of(task))


def _shortest(task: ReplayTask) -> ReplayTask:
    """Returns a task that needs the same data and fitted models."""
    newcomer = script_named(task.script).newcomer is not None
    return replace(task, seed=0, count=10, script=task.script if newcomer else "steady", feedback=None)


def run_replay(task: ReplayTask) -> ReplayResult:
    """Replays one policy. Raises TraceError or BenchError."""
    inputs = inputs_of(task)
    return result_of(_record(task, inputs), inputs.workload, inputs.tuning)


def summary_of(task: ReplayTask) -> Summary:
    """Returns the figures of one replay. Raises TraceError or BenchError."""
    return summarise(run_replay(task))


def digest_of(task: ReplayTask) -> str:
    """Returns the SHA-256 of all decisions and figures of one replay. Raises TraceError or BenchError."""
    return _record(task, inputs_of(task)).digest()


def dataset_of(trace: Path, profile: str, half: Half) -> Dataset:
    """Returns a half of a trace on a profile's machines. Raises TraceError or BenchError."""
    return _whole(trace, profile).half(half)


def inputs_of(task: ReplayTask) -> PolicyInputs:
    """Returns the inputs of a task's policy. Raises TraceError or BenchError."""
    profile, script = profile_named(task.profile), script_named(task.script)
    split = _split(task.trace, task.profile, task.half, script.newcomer)
    workload = Workload(
        split.replayed, profile, script, count=task.count, seed=task.seed, feedback=task.feedback
    )
    return PolicyInputs(split.tuning, profile, workload, task.seed, task.knob, split.fit_cache)


def _record(task: ReplayTask, inputs: PolicyInputs) -> ReplayRecord:
    return replay(inputs.workload, _policy(task, inputs), task.policy)


def _policy(task: ReplayTask, inputs: PolicyInputs) -> Policy[Any]:
    try:
        policy = maker_named(task.policy)(inputs)
    except ModuleNotFoundError as error:
        raise BenchError(f"{task.policy} needs {error.name}: pip install './lab[bench]'") from error
    if isinstance(policy, Rival):
        policy.ranking = inputs.ranking
    return policy


def _use_one_thread() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


@lru_cache(maxsize=16)
def _split(path: Path, profile: str, half: Half, newcomer: float | None) -> Split:
    whole = _whole(path, profile)
    known = list(range(len(whole.arms)))
    if newcomer is not None:
        whole, known = _with_newcomer(whole, newcomer)
    tuning = whole.half("tune").select_arms(known)
    if half == "report":
        return Split(tuning, whole.half("report"), {})
    return Split(tuning.part("fit"), whole.half("tune").part("check"), {})


def _with_newcomer(dataset: Dataset, compute_factor: float) -> tuple[Dataset, list[int]]:
    """Moves the cloud's most accurate model to the last columns; returns the columns of the other arms."""
    model = dataset.arms[dataset.best_column("cloud")].model
    new = [c for c, arm in enumerate(dataset.arms) if (arm.tier, arm.model) == ("cloud", model)]
    others = [column for column in range(len(dataset.arms)) if column not in new]
    if not any(dataset.arms[column].tier == "cloud" for column in others):
        raise BenchError("the trace has only one cloud model: none can appear or leave")
    moved = dataset.select_arms([*others, *new])
    moved.compute_ms[:, len(others) :] *= compute_factor
    return moved, list(range(len(others)))


@lru_cache(maxsize=8)
def _whole(path: Path, profile: str) -> Dataset:
    return prepare(_trace(path), profile_named(profile))


@lru_cache(maxsize=2)
def _trace(path: Path) -> Trace:
    return read_trace(path)
