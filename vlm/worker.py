"""One thread that runs the model, behind a bounded queue.

1. Calls run one at a time, first in, first out. Calls with the same batch key run together, up to `batch` at
   once; an idle worker waits `batch_wait_s` for more of them.
2. A full queue refuses a call immediately; it never blocks.
3. When its caller is cancelled, a waiting call leaves the queue; a running call stops at its next `check`.
4. When its timeout is over, a waiting call is not started; a running call stops at its next `check`.
5. Every `check` counts as progress; `stuck_s` is the time since the last one.
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

Item = TypeVar("Item")
Result = TypeVar("Result")


class Abandoned(Exception):
    """The caller was cancelled or has disconnected."""


@dataclass(frozen=True)
class TimedResult(Generic[Result]):
    """The result of a call, how long the call waited and ran, and how many calls ran together with it.

    Attributes:
        batch_size: includes the call itself.
    """

    result: Result
    queue_ms: float
    compute_ms: float
    batch_size: int = 1


class Task:
    """A call as it is seen from inside: reports progress and learns when to stop."""

    def __init__(self, clock: Callable[[], float], deadline: float | None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._abandoned = threading.Event()
        self.progress_at = clock()

    def check(self) -> None:
        """Records progress.

        Raises:
            Abandoned: the caller no longer waits.
            DeadlinePassed: the timeout is over.
        """
        self.progress_at = self._clock()
        if self._abandoned.is_set():
            raise Abandoned
        if self._deadline is not None and self.progress_at >= self._deadline:
            raise DeadlinePassed("the deadline passed before the answer was ready")

    def abandon(self) -> None:
        """Makes the next `check` raise Abandoned."""
        self._abandoned.set()


@dataclass(frozen=True)
class _QueuedCall:
    task: Task
    item: Any
    call: Callable[[Sequence[tuple[Task, Any]]], Sequence[Any]]
    batch_key: Hashable | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[TimedResult[Any]]
    queued_at: float


class Worker:
    """The thread and its queue.

    Args:
        queue: how many calls may wait; running calls are not counted.
        batch: how many calls may run together.
        batch_wait_s: how long an idle worker waits for more calls with the same batch key.
        clock: returns the time in seconds; must not go back.
    """

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
        self._waiting: deque[_QueuedCall] = deque()
        self._running: tuple[Task, ...] = ()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="vlm-worker", daemon=True)
        self._thread.start()

    @property
    def queue_length(self) -> int:
        """How many calls are waiting."""
        return len(self._waiting)

    def stuck_s(self) -> float:
        """Seconds since a running call last made progress; 0 when idle."""
        running = self._running
        return self._clock() - max(task.progress_at for task in running) if running else 0.0

    async def run(
        self, call: Callable[[Task], Result], *, timeout_s: float | None = None
    ) -> TimedResult[Result]:
        """Runs `call` on the worker's thread, never in a batch. Cancelling this abandons the call.

        Raises:
            VlmBusy: the queue is full.
            DeadlinePassed: `timeout_s` is over.
            Exception: what `call` raises.
        """
        return await self.run_batched(
            None, lambda tasks: [call(tasks[0][0])], batch_key=None, timeout_s=timeout_s
        )

    async def run_batched(
        self,
        item: Item,
        call: Callable[[Sequence[tuple[Task, Item]]], Sequence[Result | Exception]],
        *,
        batch_key: Hashable | None,
        timeout_s: float | None = None,
    ) -> TimedResult[Result]:
        """Runs `call` on `item`, together with the waiting items that have the same `batch_key`.

        `call` returns a result or an exception for each item, in order. An item with the key None runs alone.
        Otherwise like `run`.
        """
        loop = asyncio.get_running_loop()
        now = self._clock()
        task = Task(self._clock, None if timeout_s is None else now + timeout_s)
        queued = _QueuedCall(task, item, call, batch_key, loop, loop.create_future(), now)
        with self._changed:
            # An idle thread starts a whole batch immediately, so that many more calls fit.
            if self.queue_length >= self._limit + (0 if self._running else self._batch):
                raise VlmBusy(
                    f"{self.queue_length} requests are already waiting; try again later", retry_after_s=1
                )
            self._waiting.append(queued)
            self._changed.notify()
        try:
            return await queued.future
        finally:
            task.abandon()
            with self._changed:
                if queued in self._waiting:
                    self._waiting.remove(queued)

    def close(self, timeout_s: float) -> bool:
        """Abandons all calls and waits for the thread to end; False if it did not within `timeout_s`."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for task in self._running:
                task.abandon()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while batch := self._wait_for_batch():
            started_at = self._clock()
            outcomes = _run_batch(batch)
            compute_ms = (self._clock() - started_at) * 1000
            self._running = ()
            for queued, outcome in zip(batch, outcomes, strict=True):
                queue_ms = (started_at - queued.queued_at) * 1000
                _deliver(queued, outcome, queue_ms, compute_ms, len(batch))

    def _wait_for_batch(self) -> list[_QueuedCall]:
        """Takes the next calls from the queue, when there are any; none once the worker is closed."""
        with self._changed:
            while not self._closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                wait_s = self._batch_wait_s - (self._clock() - first.queued_at)
                if self._batch > 1 and first.batch_key is not None and wait_s > 0:
                    self._changed.wait_for(
                        lambda: self._closed or len(self._next_batch()) >= self._batch, wait_s
                    )
                batch = [] if self._closed else self._next_batch()
                for queued in batch:
                    self._waiting.remove(queued)
                    queued.task.progress_at = self._clock()
                self._running = tuple(queued.task for queued in batch)
                if batch:
                    return batch
            return []

    def _next_batch(self) -> list[_QueuedCall]:
        """The first waiting call, and the waiting calls that may run together with it."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        same_key = [
            queued
            for queued in self._waiting
            if queued.batch_key is not None and queued.batch_key == first.batch_key
        ]
        return same_key[: self._batch] or [first]


def _run_batch(batch: Sequence[_QueuedCall]) -> list[Any]:
    """Returns a result or an exception for each call; abandoned and late calls do not run."""
    outcomes: dict[int, Any] = {}
    started = []
    for index, queued in enumerate(batch):
        try:
            queued.task.check()
        except (Abandoned, DeadlinePassed) as error:
            outcomes[index] = error
        else:
            started.append(index)
    if started:
        try:
            results = batch[0].call([(batch[index].task, batch[index].item) for index in started])
        except Exception as error:
            results = [error] * len(started)
        outcomes.update(zip(started, results, strict=True))
    return [outcomes[index] for index in range(len(batch))]


def _deliver(queued: _QueuedCall, outcome: Any, queue_ms: float, compute_ms: float, batch_size: int) -> None:
    """Sends the outcome to the caller's event loop."""

    def resolve() -> None:
        if queued.future.done():
            return
        if isinstance(outcome, Abandoned):
            queued.future.set_exception(DeadlinePassed("abandoned"))  # the caller no longer waits for it
        elif isinstance(outcome, Exception):
            queued.future.set_exception(outcome)
        else:
            queued.future.set_result(TimedResult(outcome, queue_ms, compute_ms, batch_size))

    if not queued.loop.is_closed():
        queued.loop.call_soon_threadsafe(resolve)
