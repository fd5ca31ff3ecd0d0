"""One thread that does the heavy work, behind a bounded queue.

1. Calls run one at a time, in the order in which they came.
2. A full queue refuses a call at once; it never blocks.
3. A call whose caller has gone leaves the queue, or is told at its next `check`.
4. A call whose deadline is over is not begun, and is told at its next `check`.
5. Every `check` counts as progress; a call without progress is what `stuck_s` measures.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vlm.errors import DeadlinePassed, VlmBusy

Result = TypeVar("Result")


class Abandoned(Exception):
    """The caller has gone."""


@dataclass(frozen=True)
class Done(Generic[Result]):
    """A call's result, with how long it waited and ran."""

    result: Result
    queue_ms: float
    compute_ms: float


class Task:
    """A call on the worker, as the call itself sees it."""

    def __init__(self, clock: Callable[[], float], deadline: float | None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._abandoned = threading.Event()
        self.progress_at = clock()

    def check(self) -> None:
        """Say that there is progress. Raises Abandoned or DeadlinePassed when there is no point in more."""
        self.progress_at = self._clock()
        if self._abandoned.is_set():
            raise Abandoned
        if self._deadline is not None and self.progress_at >= self._deadline:
            raise DeadlinePassed("the deadline passed before the answer was ready")

    def abandon(self) -> None:
        """Make the next `check` raise Abandoned."""
        self._abandoned.set()


@dataclass(frozen=True)
class _Entry:
    task: Task
    call: Callable[[Task], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Done[Any]]
    queued_at: float


class Worker:
    """The thread and its queue. `queue` is how many calls may wait; the running one is not counted."""

    def __init__(self, *, queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = queue
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._running: Task | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="vlm-worker", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many calls are waiting."""
        return len(self._waiting)

    def stuck_s(self) -> float:
        """Seconds since the running call last made progress; 0 when none is running."""
        running = self._running
        return self._clock() - running.progress_at if running else 0.0

    async def run(self, call: Callable[[Task], Result], *, deadline: float | None = None) -> Done[Result]:
        """Run `call` on the worker's thread; `deadline` is a reading of `clock`.

        Cancelling this abandons the call. Raises VlmBusy, DeadlinePassed, or what `call` raises.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(Task(self._clock, deadline), call, loop, loop.create_future(), self._clock())
        with self._changed:
            # An idle thread takes the call at once, so one more than the limit fits then.
            if len(self._waiting) >= self._limit + (self._running is None):
                raise VlmBusy(f"{self.depth} requests are waiting already; try again later", retry_after_s=1)
            self._waiting.append(entry)
            self._changed.notify()
        try:
            return await entry.future
        finally:
            entry.task.abandon()
            with self._changed:
                if entry in self._waiting:
                    self._waiting.remove(entry)

    def close(self, timeout_s: float) -> bool:
        """Abandon everything and wait for the thread to end; False when it did not within `timeout_s`."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            if self._running:
                self._running.abandon()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            started_at = self._clock()
            try:
                entry.task.check()
                result = entry.call(entry.task)
            except Abandoned:
                outcome: Done[Any] | Exception = DeadlinePassed("abandoned")  # nobody waits for it
            except Exception as error:
                outcome = error
            else:
                waited_ms = (started_at - entry.queued_at) * 1000
                outcome = Done(result, waited_ms, (self._clock() - started_at) * 1000)
            self._running = None
            _settle(entry, outcome)

    def _next(self) -> _Entry | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            entry = self._waiting.popleft()
            entry.task.progress_at = self._clock()
            self._running = entry.task
            return entry


def _settle(entry: _Entry, outcome: Done[Any] | Exception) -> None:
    def settle() -> None:
        if entry.future.done():
            return
        if isinstance(outcome, Exception):
            entry.future.set_exception(outcome)
        else:
            entry.future.set_result(outcome)

    if not entry.loop.is_closed():
        entry.loop.call_soon_threadsafe(settle)
