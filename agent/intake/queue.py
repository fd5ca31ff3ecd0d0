"""Queries that wait for a worker, and which of them are shed when there is more work than time.

1. A higher priority is taken first; within a priority, the earlier deadline.
2. A newcomer that cannot make its deadline behind what is ahead of it, at the pace of late, is shed at once.
3. When `most` wait already, the one that would be taken last is shed: the newcomer or another.
4. One whose time has run short while it waited is shed at its turn, or when it is over: its turn may never
   come while more important ones do. The time that its reply needs is none for its answer.
Nothing is shed while nothing waits: whether an idle agent can make a deadline is the controller's question.
"""

from __future__ import annotations

import time
from bisect import bisect, insort
from collections.abc import Callable

import anyio

from agent.intake.job import Job
from inarvl.errors import InarvlError

GAIN = 0.2


class Shed(InarvlError):
    """There is more to answer than can be answered in time."""

    code = "busy"


class ServiceTime:
    """How long a worker is at one job: the smoothed mean, and the deviation of it."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def finished(self, took_s: float) -> None:
        """Take in that a worker was at a job for `took_s`."""
        if self._mean_s is None:
            self._mean_s = took_s
            return
        error = took_s - self._mean_s
        self._mean_s += GAIN * error
        self._deviation_s += GAIN * (abs(error) - self._deviation_s)

    def wait_s(self, ahead: int) -> float:
        """How long `ahead` jobs keep all workers busy."""
        return ahead * (self._mean_s or 0.0) / self._workers

    def quick_s(self) -> float:
        """What a job takes that goes well."""
        return max(0.0, (self._mean_s or 0.0) - self._deviation_s)


class RequestQueue:
    """A bounded queue in the order of priority and deadline.

    Attributes:
        taken: how many jobs workers have taken.

    Args:
        most: how many may wait.
        workers: how many jobs are worked on at the same time.
    """

    def __init__(self, most: int, workers: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.pace = ServiceTime(workers)
        self.taken = 0
        self._most = most
        self._clock = clock
        self._jobs: list[Job] = []
        self._closed = False
        self._changed = anyio.Event()
        self._idle = workers

    def __len__(self) -> int:
        return len(self._jobs)

    def offer(self, job: Job) -> tuple[Job, Shed] | None:
        """Let `job` wait. What is shed for it, itself or another, with the reason; None when all may stay."""
        ahead = bisect(self._jobs, _turn(job), key=_turn)
        if self._jobs or not self._idle:
            needed_s = self.pace.wait_s(ahead) + self.pace.quick_s()
            if job.due_at - self._clock() < needed_s:
                return job, Shed(
                    f"{ahead} queries are ahead of it, about {needed_s:.1f} s: "
                    "ask less often, or allow more deadline_ms"
                )
        insort(self._jobs, job, key=_turn)
        self._wake()
        if len(self._jobs) <= self._most:
            return None
        last = self._jobs.pop()
        return last, Shed(f"{self._most} queries wait already: ask later, less often, or with more priority")

    async def take(self) -> Job | None:
        """The next job; None when the queue is closed and empty."""
        while not self._jobs:
            if self._closed:
                return None
            await self._changed.wait()
        self._idle -= 1
        self.taken += 1
        return self._jobs.pop(0)

    def finished(self, took_s: float, *, counts: bool = True) -> None:
        """The worker that took a job is free again; a job that was shed tells nothing of the pace."""
        self._idle += 1
        if counts:
            self.pace.finished(took_s)

    def in_time(self, job: Job) -> Shed | None:
        """Why a job just taken should be shed; None when it can still be answered."""
        now = self._clock()
        waited_s, left_s = now - job.arrived_at, job.due_at - now
        if waited_s <= left_s or left_s >= self.pace.quick_s():
            return None
        return _waited(waited_s)

    def overdue(self) -> list[tuple[Job, Shed]]:
        """What waited until its time was over; it waits no longer."""
        now = self._clock()
        over = [job for job in self._jobs if job.due_at <= now]
        self._jobs = [job for job in self._jobs if job.due_at > now]
        return [(job, _waited(now - job.arrived_at)) for job in over]

    def close(self) -> None:
        """Take no more; what waits is still given out."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _waited(waited_s: float) -> Shed:
    return Shed(f"it waited {waited_s:.1f} s behind others: ask less often, or allow more deadline_ms")


def _turn(job: Job) -> tuple[float, float]:
    return -job.query.priority, job.due_at
