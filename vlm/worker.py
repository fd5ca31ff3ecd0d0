"""One thread that does the heavy work, behind a bounded queue.

1. Calls run one at a time, in the order in which they came, but those that may run together do so, up to
   `batch` at once. An idle worker waits `batch_wait_s` for more of them.
2. A full queue refuses a call at once; it never blocks.
3. A call whose caller has gone leaves the queue, or is told at its next `check`.
4. A call whose deadline is over is not begun, and is told at its next `check`.
5. Every `check` counts as progress; calls without progress are what `stuck_s` measures.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vlm.errors import DeadlinePassed, VlmBusy

Part = TypeVar("Part")
Result = TypeVar("Result")


class Abandoned(Exception):
    """The caller has gone."""


@dataclass(frozen=True)
class Done(Generic[Result]):
    """A call's result, with how long it waited and ran, and how many ran together."""

    result: Result
    queue_ms: float
    compute_ms: float
    together: int = 1


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
    part: Any
    call: Callable[[Sequence[tuple[Task, Any]]], Sequence[Any]]
    key: Hashable | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Done[Any]]
    queued_at: float


class Worker:
    """The thread and its queue. `queue` is how many calls may wait; those that run are not counted."""

    def __init__(
        self,
        *,
        queue: int,
        batch: int = 1,
        batch_wait_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = queue
        self._batch = batch
        self._batch_wait_s = batch_wait_s
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._running: tuple[Task, ...] = ()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="vlm-worker", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many calls are waiting."""
        return len(self._waiting)

    def stuck_s(self) -> float:
        """Seconds since what runs last made progress; 0 when nothing does."""
        running = self._running
        return self._clock() - max(task.progress_at for task in running) if running else 0.0

    async def run(self, call: Callable[[Task], Result], *, timeout_s: float | None = None) -> Done[Result]:
        """Run `call` on the worker's thread within `timeout_s`.

        Cancelling this abandons the call. Raises VlmBusy, DeadlinePassed, or what `call` raises.
        """
        return await self.run_together(None, lambda tasks: [call(tasks[0][0])], key=None, timeout_s=timeout_s)

    async def run_together(
        self,
        part: Part,
        call: Callable[[Sequence[tuple[Task, Part]]], Sequence[Result | Exception]],
        *,
        key: Hashable | None,
        timeout_s: float | None = None,
    ) -> Done[Result]:
        """Run `call` on `part`, and on the parts of those that wait with the same `key`, unless it is None.

        `call` gives a result or an exception for each, in their order. Otherwise like `run`.
        """
        loop = asyncio.get_running_loop()
        now = self._clock()
        task = Task(self._clock, None if timeout_s is None else now + timeout_s)
        entry = _Entry(task, part, call, key, loop, loop.create_future(), now)
        with self._changed:
            # An idle thread takes calls at once, so more than the limit fit then.
            if len(self._waiting) >= self._limit + (0 if self._running else self._batch):
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
            for task in self._running:
                task.abandon()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while entries := self._next():
            started_at = self._clock()
            outcomes = _outcomes(entries)
            ran_ms = (self._clock() - started_at) * 1000
            self._running = ()
            for entry, outcome in zip(entries, outcomes, strict=True):
                waited_ms = (started_at - entry.queued_at) * 1000
                _settle(entry, outcome, waited_ms, ran_ms, len(entries))

    def _next(self) -> list[_Entry]:
        """Those to run now; none once the worker is closed."""
        with self._changed:
            while not self._closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                wait_s = self._batch_wait_s - (self._clock() - first.queued_at)
                if self._batch > 1 and first.key is not None and wait_s > 0:
                    self._changed.wait_for(lambda: self._closed or len(self._mates()) >= self._batch, wait_s)
                entries = [] if self._closed else self._mates()
                for entry in entries:
                    self._waiting.remove(entry)
                    entry.task.progress_at = self._clock()
                self._running = tuple(entry.task for entry in entries)
                if entries:
                    return entries
            return []

    def _mates(self) -> list[_Entry]:
        """The first that waits, with those that may run together with it."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        same = [entry for entry in self._waiting if entry.key is not None and entry.key == first.key]
        return same[: self._batch] or [first]


def _outcomes(entries: Sequence[_Entry]) -> list[Any]:
    """A result or an exception for each, leaving out those whose caller has gone or whose time is over."""
    found: dict[int, Any] = {}
    begun = []
    for place, entry in enumerate(entries):
        try:
            entry.task.check()
        except (Abandoned, DeadlinePassed) as error:
            found[place] = error
        else:
            begun.append(place)
    if begun:
        try:
            results = entries[0].call([(entries[place].task, entries[place].part) for place in begun])
        except Exception as error:
            results = [error] * len(begun)
        found.update(zip(begun, results, strict=True))
    return [found[place] for place in range(len(entries))]


def _settle(entry: _Entry, outcome: Any, waited_ms: float, ran_ms: float, together: int) -> None:
    def settle() -> None:
        if entry.future.done():
            return
        if isinstance(outcome, Abandoned):
            entry.future.set_exception(DeadlinePassed("abandoned"))  # nobody waits for it
        elif isinstance(outcome, Exception):
            entry.future.set_exception(outcome)
        else:
            entry.future.set_result(Done(outcome, waited_ms, ran_ms, together))

    if not entry.loop.is_closed():
        entry.loop.call_soon_threadsafe(settle)
