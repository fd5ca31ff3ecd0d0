"""The queue of requests, and which of them are refused when there is more work than time.

1. A higher priority is served first; within a priority, the earlier deadline.
2. If the queue is too long to meet a new request's deadline at the present service time, it is refused at
   once.
3. When `capacity` requests wait already, the one that would be served last is refused: the new one or
   another.
4. A request whose remaining time is too short is refused when a worker gets it, or when its time is over:
   more important requests may keep it from ever being served. The time that its reply needs does not count.
Nothing is refused while nothing waits: whether an idle agent can meet a deadline is the controller's
    decision.
"""

from __future__ import annotations

import time
from bisect import bisect, insort
from collections.abc import Callable

import anyio

from agent.intake.request import Request
from agent.smoothing import Smoothed
from inarvl.errors import InarvlError

GAIN = 0.2


class Shed(InarvlError):
    """There are more queries than can be answered in time."""

    code = "busy"


class ServiceTime:
    """How long a worker spends on one request: smoothed mean and deviation, in seconds."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._time_s = Smoothed(gain=GAIN, deviation_gain=GAIN, first_deviation=0.0)

    def observe(self, seconds: float) -> None:
        """Learn from one request that a worker spent `seconds` on."""
        self._time_s.observe(seconds)

    def wait_s(self, ahead: int) -> float:
        """How long `ahead` requests keep all workers busy."""
        return ahead * (self._time_s.mean or 0.0) / self._workers

    def short_s(self) -> float:
        """Service time of a request that is served quickly: one deviation below the mean."""
        return max(0.0, (self._time_s.mean or 0.0) - self._time_s.deviation)


class RequestQueue:
    """A bounded queue ordered by priority and deadline.

    Attributes:
        service_time: learned from the requests that were served.
        served: how many requests workers have received.

    Args:
        capacity: how many requests may wait.
        workers: how many requests are worked on at the same time.
    """

    def __init__(self, capacity: int, workers: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.service_time = ServiceTime(workers)
        self.served = 0
        self._capacity = capacity
        self._clock = clock
        self._requests: list[Request] = []
        self._closed = False
        self._changed = anyio.Event()
        self._idle = workers

    def __len__(self) -> int:
        return len(self._requests)

    def offer(self, request: Request) -> tuple[Request, Shed] | None:
        """Queue `request`.

        Returns:
            The request to refuse for it, itself or another, with the reason; None when all may stay.
        """
        ahead = bisect(self._requests, _turn(request), key=_turn)
        if self._requests or not self._idle:
            needed_s = self.service_time.wait_s(ahead) + self.service_time.short_s()
            if request.due_at - self._clock() < needed_s:
                return request, Shed(
                    f"{ahead} queries are ahead of it, about {needed_s:.1f} s: "
                    "ask less often, or allow more deadline_ms"
                )
        insort(self._requests, request, key=_turn)
        self._wake()
        if len(self._requests) <= self._capacity:
            return None
        last = self._requests.pop()
        return last, Shed(
            f"{self._capacity} queries wait already: ask later, less often, or with a higher priority"
        )

    async def get(self) -> Request | None:
        """The next request; None when the queue is closed and empty."""
        while not self._requests:
            if self._closed:
                return None
            await self._changed.wait()
        self._idle -= 1
        self.served += 1
        return self._requests.pop(0)

    def done(self, seconds: float, *, counts: bool = True) -> None:
        """The worker that got a request is idle again after `seconds`.

        Args:
            counts: whether the service time learns from it; refused requests say nothing about it.
        """
        self._idle += 1
        if counts:
            self.service_time.observe(seconds)

    def too_late(self, request: Request) -> Shed | None:
        """Why a request that a worker just got should be refused; None when it can still be answered."""
        now = self._clock()
        waited_s, left_s = now - request.arrived_at, request.due_at - now
        if waited_s <= left_s or left_s >= self.service_time.short_s():
            return None
        return _waited(waited_s)

    def expired(self) -> list[tuple[Request, Shed]]:
        """Remove and return the requests whose time is over."""
        now = self._clock()
        expired = [request for request in self._requests if request.due_at <= now]
        self._requests = [request for request in self._requests if request.due_at > now]
        return [(request, _waited(now - request.arrived_at)) for request in expired]

    def close(self) -> None:
        """Accept no more requests; those that wait are still served."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _waited(waited_s: float) -> Shed:
    return Shed(f"it waited {waited_s:.1f} s behind others: ask less often, or allow more deadline_ms")


def _turn(request: Request) -> tuple[float, float]:
    return -request.query.priority, request.due_at
