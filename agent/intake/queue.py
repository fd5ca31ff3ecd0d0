"""Queues requests, and refuses those that cannot be answered in time.

1. A higher priority is served first; within a priority, the earlier deadline.
2. If the queue is too long to meet a new request's deadline at the present service time, the request is
   refused immediately.
3. If `capacity` requests wait already, one of those with the lowest priority is refused, the new one or
   another: the one with the smallest share of its time left, which after an outage is the one that was asked
   first; of equal ones the one that would be served last.
4. A request whose remaining time is too short is refused when a worker gets it, or has expired when its time
   ends: more important requests may prevent it from ever being served. The time that its reply needs does not
   count as remaining.
5. A new request is not refused while a worker is idle and no request waits: whether an idle agent can meet a
   deadline is the controller's decision.
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
    """A request was refused because not all can be answered in time."""

    code = "busy"


class Expired(InarvlError):
    """The time of a request ended while it waited."""

    code = "deadline_expired"


class ServiceTime:
    """Estimates how long a worker spends on one request: smoothed mean and deviation, in seconds."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._time_s = Smoothed(gain=GAIN, deviation_gain=GAIN, first_deviation=0.0)

    def observe(self, seconds: float) -> None:
        """Records that a worker spent `seconds` on a request."""
        self._time_s.observe(seconds)

    def wait_s(self, ahead: int) -> float:
        """Returns the seconds that all workers together need for `ahead` requests."""
        return ahead * (self._time_s.mean or 0.0) / self._workers

    def short_s(self) -> float:
        """Returns the service time of a quickly served request, in seconds: one deviation below the mean."""
        return max(0.0, (self._time_s.mean or 0.0) - self._time_s.deviation)


class RequestQueue:
    """A bounded queue ordered by priority and deadline.

    Attributes:
        service_time: learned from the requests that were served.
        served: number of requests that workers have received.
        idle: number of workers that have no request.

    Args:
        capacity: maximum number of waiting requests.
        workers: number of requests that are answered at the same time.
    """

    def __init__(self, capacity: int, workers: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.service_time = ServiceTime(workers)
        self.served = 0
        self.idle = workers
        self._capacity = capacity
        self._clock = clock
        self._requests: list[Request] = []
        self._closed = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._requests)

    def offer(self, request: Request) -> tuple[Request, Shed] | None:
        """Queues `request`.

        Returns:
            The request to refuse, `request` or another, with the reason; None if all may stay.
        """
        ahead = bisect(self._requests, _turn(request), key=_turn)
        if self._requests or not self.idle:
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
        return self._requests.pop(self._least_useful()), Shed(
            f"{self._capacity} queries wait already: ask later, less often, or with a higher priority"
        )

    async def get(self) -> Request | None:
        """Waits for the next request and removes it; returns None if the queue is closed and empty."""
        while not self._requests:
            if self._closed:
                return None
            await self._changed.wait()
        self.idle -= 1
        self.served += 1
        return self._requests.pop(0)

    def done(self, seconds: float, *, counts: bool = True) -> None:
        """Records that the worker of a request is idle again after `seconds`.

        Args:
            counts: whether the service time learns from it; it does not from refused requests.
        """
        self.idle += 1
        if counts:
            self.service_time.observe(seconds)

    def too_late(self, request: Request) -> Shed | None:
        """Returns why the request that a worker just got should be refused; None if there is time for it."""
        now = self._clock()
        waited_s, left_s = now - request.arrived_at, request.due_at - now
        if waited_s <= left_s or left_s >= self.service_time.short_s():
            return None
        return Shed(_waited(waited_s))

    def expired(self) -> list[tuple[Request, Expired]]:
        """Removes and returns the requests whose time is over, with the reason."""
        now = self._clock()
        expired = [request for request in self._requests if request.due_at <= now]
        self._requests = [request for request in self._requests if request.due_at > now]
        return [(request, Expired(_waited(now - request.arrived_at))) for request in expired]

    def close(self) -> None:
        """Ends the queue: when no request waits any more, `get` returns None."""
        self._closed = True
        self._wake()

    def _least_useful(self) -> int:
        """Returns the place of the request to refuse if there are too many."""
        now, lowest = self._clock(), self._requests[-1].query.priority
        places = [n for n, request in enumerate(self._requests) if request.query.priority == lowest]
        return min(places, key=lambda n: (self._requests[n].share_left(now), -n))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _waited(waited_s: float) -> str:
    return f"it waited {waited_s:.1f} s behind others: ask less often, or allow more deadline_ms"


def _turn(request: Request) -> tuple[float, float]:
    return -request.query.priority, request.due_at
