"""Queues requests, and refuses those that cannot be answered in time.

1. Clients get fair shares of the workers (waiting.py). Of one client, a higher priority is served first;
   within a priority, the earlier deadline.
2. If the queue is too long to meet a new request's deadline at the present service time, the request is
   refused immediately.
3. If `capacity` requests wait already, one of the client with the most is refused, of those with the lowest
   priority there: the one with the smallest share of its time left, which after an outage is the one that was
   asked first; of equal ones the one that would be served last.
4. A request whose remaining time is too short is refused when a worker gets it, or has expired when its time
   ends: more important requests may prevent it from ever being served. The time that its reply needs does not
   count as remaining.
5. A new request is not refused while a worker is idle and no request waits: whether an idle agent can meet a
   deadline is the controller's decision.
6. While other clients have asked within RECENT_S, a client leaves one of RESERVED workers to them: otherwise
   its slow requests could occupy all.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from agent.intake.request import Request
from agent.intake.waiting import Waiting
from agent.smoothing import Smoothed
from inarvl.errors import InarvlError

GAIN = 0.2
RECENT_S = 60.0
RESERVED = 8
MAX_CLIENTS = 256


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
    """A bounded queue with a fair share for each client.

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
        self._workers = workers
        self._capacity = capacity
        self._clock = clock
        self._waiting = Waiting()
        self._in_work: Counter[str] = Counter()
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._closed = False
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, request: Request) -> tuple[Request, Shed] | None:
        """Queues `request`.

        Returns:
            The request to refuse, `request` or another, with the reason; None if all may stay.
        """
        self._client(request).asked_at = now = self._clock()
        late = self._late(request)
        if late is not None:
            return request, late
        self._waiting.add(request)
        self._wake()
        return None if len(self) <= self._capacity else (self._waiting.pop_least_useful(now), self._full())

    def refusal(self, request: Request) -> Shed | None:
        """Returns why `request` would be refused if it came now, without queueing it.

        If the queue is full and other clients ask too, the client with the most gets no further request in.
        """
        self._client(request).asked_at = self._clock()
        crowded = len(self) >= self._capacity and not self._alone(request) and self._waiting.has_most(request)
        return self._late(request) or (self._full() if crowded else None)

    def withdraw(self, key: str) -> bool:
        """Removes the request with this key, whose sender is gone; False if it does not wait."""
        return self._waiting.remove(key)

    async def get(self) -> Request | None:
        """Waits for the next request and removes it; returns None if the queue is closed and empty."""
        while (request := self._waiting.pop_next(self._free_workers())) is None:
            if self._closed and not len(self):
                return None
            await self._changed.wait()
        self.idle -= 1
        self.served += 1
        self._in_work.update({request.party, request.member})
        return request

    def done(self, seconds: float, request: Request | None = None, *, counts: bool = True) -> None:
        """Records that the worker of a request is idle again after `seconds`.

        Args:
            counts: whether the service time learns from it; it does not from refused requests.
        """
        self.idle += 1
        if counts:
            self.service_time.observe(seconds)
        if request is not None:
            self._in_work -= Counter({request.party, request.member})
            if counts:
                self._client(request).service_time.observe(seconds)
        self._wake()

    def too_late(self, request: Request) -> Shed | None:
        """Returns why the request that a worker just got should be refused; None if there is time for it."""
        now = self._clock()
        waited_s, left_s = now - request.arrived_at, request.due_at - now
        if waited_s <= left_s or left_s >= self._short_s(request):
            return None
        return Shed(_waited(waited_s))

    def expired(self) -> list[tuple[Request, Expired]]:
        """Removes and returns the requests whose time is over, with the reason."""
        now = self._clock()
        due = self._waiting.pop_due(now)
        return [(request, Expired(_waited(now - request.arrived_at))) for request in due]

    def close(self) -> None:
        """Ends the queue: when no request waits any more, `get` returns None."""
        self._closed = True
        self._wake()

    def _late(self, request: Request) -> Shed | None:
        if not len(self) and self.idle:
            return None
        ahead = self._waiting.ahead(request)
        needed_s = self.service_time.wait_s(ahead) + self._short_s(request)
        if request.due_at - self._clock() >= needed_s:
            return None
        return Shed(
            f"{ahead} queries are ahead of it, about {needed_s:.1f} s: "
            "ask less often, or allow more deadline_ms"
        )

    def _full(self) -> Shed:
        return Shed(
            f"{self._capacity} queries wait already: ask later, less often, or with a higher priority"
        )

    def _recent(self) -> list[_Client]:
        since = self._clock() - RECENT_S
        return [client for client in self._clients.values() if client.asked_at > since]

    def _alone(self, request: Request) -> bool:
        return all(client.member == request.member for client in self._recent())

    def _free_workers(self) -> Callable[[str], bool]:
        """Returns whether a party, or a member of one, may use one more worker."""
        recent = self._recent()
        names = {client.party for client in recent}, {client.member for client in recent}
        most = max(1, self._workers - max(1, self._workers // RESERVED))

        def free(name: str) -> bool:
            others = any(len(asked) > 1 for asked in names if name in asked)
            return self._closed or not others or self._in_work[name] < most

        return free

    def _short_s(self, request: Request) -> float:
        """Returns the service time of a quickly served request of the same client, in seconds.

        The requests of other clients may be of another kind, and say little about it.
        """
        if len(self._clients) <= 1:
            return self.service_time.short_s()
        client = self._clients.get(request.member)
        return 0.0 if client is None else client.service_time.short_s()

    def _client(self, request: Request) -> _Client:
        client = self._clients.get(request.member)
        if client is None:
            client = _Client(request.party, request.member, ServiceTime(self._workers))
            self._clients[request.member] = client
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(request.member)
        return client

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@dataclass
class _Client:
    """What is known of a client.

    Attributes:
        party, member: as in `Request`.
        service_time: of its own requests.
        asked_at: when it asked last, in seconds on the clock.
    """

    party: str
    member: str
    service_time: ServiceTime
    asked_at: float = -math.inf


def _waited(waited_s: float) -> str:
    return f"it waited {waited_s:.1f} s behind others: ask less often, or allow more deadline_ms"
