"""The rules of the worker: one batch at a time, a bounded queue, no work for an abandoned call."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import anyio
import pytest
from anyio import to_thread

from vlm.errors import DeadlinePassed, VlmBusy
from vlm.worker import Abandoned, Task, TimedResult, Worker

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """A call that waits until the test opens it, then checks once."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.ended: list[BaseException | None] = []

    def __call__(self, task: Task) -> str:
        self.entered.set()
        assert self.opened.wait(30)
        try:
            task.check()
        except BaseException as error:
            self.ended.append(error)
            raise
        self.ended.append(None)
        return "passed"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(clock: Clock) -> Iterator[Worker]:
    worker = Worker(queue=1, clock=clock)
    yield worker
    assert worker.close(30)


async def entered(gate: Gate) -> None:
    assert await to_thread.run_sync(gate.entered.wait, 30)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - the worker's thread sets no anyio event
            await anyio.sleep(0.001)


async def test_a_result_has_its_waiting_and_running_time(worker: Worker, clock: Clock) -> None:
    def work(_task: Task) -> int:
        clock.now += 0.25
        return 7

    timed = await worker.run(work)
    assert (timed.result, timed.queue_ms, timed.compute_ms) == (7, 0, 250)


async def test_an_error_reaches_its_caller_and_the_worker_continues(worker: Worker) -> None:
    def fail(_task: Task) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert (await worker.run(lambda _task: 1)).result == 1


async def test_a_full_queue_refuses_immediately(worker: Worker) -> None:
    gate = Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        callers.start_soon(worker.run, lambda _task: 1)
        await until(lambda: worker.queue_length == 1)
        with pytest.raises(VlmBusy) as refused:
            await worker.run(lambda _task: 2)
        assert refused.value.retry_after_s
        gate.opened.set()
    assert (await worker.run(lambda _task: 3)).result == 3


async def test_a_cancelled_call_leaves_the_queue(worker: Worker) -> None:
    gate = Gate()
    ran: list[Task] = []
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(worker.run, ran.append)
            await until(lambda: worker.queue_length == 1)
            cancelled.cancel_scope.cancel()
        assert worker.queue_length == 0
        gate.opened.set()
    await worker.run(lambda _task: None)
    assert ran == []


async def test_cancelling_stops_the_running_call(worker: Worker) -> None:
    gate = Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        callers.cancel_scope.cancel()
    gate.opened.set()
    await worker.run(lambda _task: None)
    assert [type(error) for error in gate.ended] == [Abandoned]


async def test_a_call_whose_timeout_is_over_is_not_started(worker: Worker, clock: Clock) -> None:
    gate = Gate()
    ran: list[Task] = []
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)

        async def run_late() -> None:
            with pytest.raises(DeadlinePassed):
                await worker.run(ran.append, timeout_s=1)

        callers.start_soon(run_late)
        await until(lambda: worker.queue_length == 1)
        clock.now += 2
        gate.opened.set()
    assert ran == []


async def test_a_timeout_ends_the_running_call(worker: Worker, clock: Clock) -> None:
    def slow(task: Task) -> None:
        task.check()
        clock.now += 2
        task.check()

    with pytest.raises(DeadlinePassed):
        await worker.run(slow, timeout_s=1)


async def test_only_a_call_without_progress_counts_as_stuck(worker: Worker, clock: Clock) -> None:
    seen = []

    def work(task: Task) -> None:
        clock.now += 5
        seen.append(worker.stuck_s())
        task.check()
        seen.append(worker.stuck_s())

    await worker.run(work)
    clock.now += 100
    assert [*seen, worker.stuck_s()] == [5, 0, 0]


async def test_close_returns_false_while_a_call_never_checks(clock: Clock) -> None:
    worker, gate = Worker(queue=1, clock=clock), Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        assert not worker.close(0.01)
        gate.opened.set()
        assert worker.close(30)
        callers.cancel_scope.cancel()


Items = Sequence[tuple[Task, int]]


class Doubling:
    """A call that records its batches and doubles each item."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, items: Items) -> list[int | Exception]:
        self.batches.append([item for _, item in items])
        return [item * 2 for _, item in items]


@pytest.fixture
def batch_worker(clock: Clock) -> Iterator[Worker]:
    worker = Worker(queue=9, batch=3, clock=clock)
    yield worker
    assert worker.close(30)


async def test_calls_with_the_same_key_run_together(batch_worker: Worker) -> None:
    gate, call, results = Gate(), Doubling(), dict[int, TimedResult[int]]()

    async def ask(item: int, key: str | None) -> None:
        results[item] = await batch_worker.run_batched(item, call, batch_key=key)

    async with anyio.create_task_group() as callers:
        callers.start_soon(batch_worker.run, gate)
        await entered(gate)
        keys = ["a", "b", "a", None, None, "a", "a"]
        for item, key in enumerate(keys):
            callers.start_soon(ask, item, key)
            await until(lambda expected=item + 1: batch_worker.queue_length == expected)
        gate.opened.set()
    assert call.batches == [[0, 2, 5], [1], [3], [4], [6]]
    assert {item: timed.result for item, timed in results.items()} == {item: 2 * item for item in range(7)}
    assert [results[item].batch_size for item in range(7)] == [3, 1, 3, 1, 1, 3, 1]


async def test_cancelled_and_late_calls_leave_the_batch(batch_worker: Worker, clock: Clock) -> None:
    gate, call, results = Gate(), Doubling(), list[int]()

    async def ask(item: int) -> None:
        results.append((await batch_worker.run_batched(item, call, batch_key="a")).result)

    async def ask_late() -> None:
        with pytest.raises(DeadlinePassed):
            await batch_worker.run_batched(2, call, batch_key="a", timeout_s=1)

    async with anyio.create_task_group() as callers:
        callers.start_soon(batch_worker.run, gate)
        await entered(gate)
        async with anyio.create_task_group() as cancelled:
            cancelled.start_soon(ask, 0)
            await until(lambda: batch_worker.queue_length == 1)
            callers.start_soon(ask, 1)
            callers.start_soon(ask_late)
            callers.start_soon(ask, 3)
            await until(lambda: batch_worker.queue_length == 4)
            cancelled.cancel_scope.cancel()
        clock.now += 2
        gate.opened.set()
    assert call.batches == [[1, 3]]
    assert sorted(results) == [2, 6]


async def test_one_failure_in_a_batch_reaches_only_its_caller(batch_worker: Worker) -> None:
    gate, results = Gate(), list[object]()

    def call(items: Items) -> list[int | Exception]:
        return [ValueError("odd") if item % 2 else item for _, item in items]

    async def ask(item: int) -> None:
        try:
            results.append((await batch_worker.run_batched(item, call, batch_key="a")).result)
        except ValueError as error:
            results.append(str(error))

    async with anyio.create_task_group() as callers:
        callers.start_soon(batch_worker.run, gate)
        await entered(gate)
        for item in range(3):
            callers.start_soon(ask, item)
        await until(lambda: batch_worker.queue_length == 3)
        gate.opened.set()
    assert sorted(results, key=str) == [0, 2, "odd"]


async def test_an_idle_worker_waits_until_the_batch_is_full() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=60), Doubling()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as callers:
            for item in range(3):
                callers.start_soon(partial(worker.run_batched, item, call, batch_key="a"))
        assert sorted(call.batches[0]) == [0, 1, 2]
        await worker.run(lambda _task: None)  # without a key there is nothing to wait for
    assert worker.close(30)


async def test_an_idle_worker_waits_no_longer_than_batch_wait_s() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=0.01), Doubling()
    with anyio.fail_after(30):
        assert (await worker.run_batched(4, call, batch_key="a")).result == 8
    assert worker.close(30)


async def test_a_worker_that_waits_to_fill_a_batch_can_be_closed() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=60), Doubling()
    async with anyio.create_task_group() as callers:
        callers.start_soon(partial(worker.run_batched, 1, call, batch_key="a"))
        await until(lambda: worker.queue_length == 1)
        assert await to_thread.run_sync(worker.close, 30)
        callers.cancel_scope.cancel()
    assert call.batches == []
