"""The worker's rules: one at a time, bounded, and nothing is done for a caller who has gone."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import anyio
import pytest
from anyio import to_thread

from vlm.errors import DeadlinePassed, VlmBusy
from vlm.worker import Abandoned, Done, Task, Worker

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """A call that waits for the test, checking as it is told."""

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
        return "through"


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


async def test_a_result_tells_how_long_it_waited_and_ran(worker: Worker, clock: Clock) -> None:
    def work(_task: Task) -> int:
        clock.now += 0.25
        return 7

    done = await worker.run(work)
    assert (done.result, done.queue_ms, done.compute_ms) == (7, 0, 250)


async def test_an_error_reaches_its_caller_and_the_worker_goes_on(worker: Worker) -> None:
    def fail(_task: Task) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert (await worker.run(lambda _task: 1)).result == 1


async def test_a_full_queue_refuses_at_once(worker: Worker) -> None:
    gate = Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        callers.start_soon(worker.run, lambda _task: 1)
        await until(lambda: worker.depth == 1)
        with pytest.raises(VlmBusy) as refused:
            await worker.run(lambda _task: 2)
        assert refused.value.retry_after_s
        gate.opened.set()
    assert (await worker.run(lambda _task: 3)).result == 3


async def test_a_caller_who_goes_while_waiting_frees_its_place(worker: Worker) -> None:
    gate = Gate()
    ran: list[Task] = []
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(worker.run, ran.append)
            await until(lambda: worker.depth == 1)
            impatient.cancel_scope.cancel()
        assert worker.depth == 0
        gate.opened.set()
    await worker.run(lambda _task: None)
    assert ran == []


async def test_a_caller_who_goes_stops_the_running_call(worker: Worker) -> None:
    gate = Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        callers.cancel_scope.cancel()
    gate.opened.set()
    await worker.run(lambda _task: None)
    assert [type(error) for error in gate.ended] == [Abandoned]


async def test_a_call_past_its_deadline_is_not_begun(worker: Worker, clock: Clock) -> None:
    gate = Gate()
    ran: list[Task] = []
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)

        async def late() -> None:
            with pytest.raises(DeadlinePassed):
                await worker.run(ran.append, timeout_s=1)

        callers.start_soon(late)
        await until(lambda: worker.depth == 1)
        clock.now += 2
        gate.opened.set()
    assert ran == []


async def test_a_deadline_that_passes_ends_the_running_call(worker: Worker, clock: Clock) -> None:
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


async def test_closing_gives_up_on_a_call_that_never_checks(clock: Clock) -> None:
    worker, gate = Worker(queue=1, clock=clock), Gate()
    async with anyio.create_task_group() as callers:
        callers.start_soon(worker.run, gate)
        await entered(gate)
        assert not worker.close(0.01)
        gate.opened.set()
        assert worker.close(30)
        callers.cancel_scope.cancel()


Parts = Sequence[tuple[Task, int]]


class Together:
    """A call that notes which parts came together, and doubles each."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, parts: Parts) -> list[int | Exception]:
        self.batches.append([part for _, part in parts])
        return [part * 2 for _, part in parts]


@pytest.fixture
def batching(clock: Clock) -> Iterator[Worker]:
    worker = Worker(queue=9, batch=3, clock=clock)
    yield worker
    assert worker.close(30)


async def test_calls_of_the_same_key_run_together(batching: Worker) -> None:
    gate, call, results = Gate(), Together(), dict[int, Done[int]]()

    async def ask(part: int, key: str | None) -> None:
        results[part] = await batching.run_together(part, call, key=key)

    async with anyio.create_task_group() as callers:
        callers.start_soon(batching.run, gate)
        await entered(gate)
        keys = ["a", "b", "a", None, None, "a", "a"]
        for part, key in enumerate(keys):
            callers.start_soon(ask, part, key)
            await until(lambda expected=part + 1: batching.depth == expected)
        gate.opened.set()
    assert call.batches == [[0, 2, 5], [1], [3], [4], [6]]
    assert {part: done.result for part, done in results.items()} == {part: 2 * part for part in range(7)}
    assert [results[part].together for part in range(7)] == [3, 1, 3, 1, 1, 3, 1]


async def test_who_goes_or_is_late_leaves_the_batch_and_the_others_stay(
    batching: Worker, clock: Clock
) -> None:
    gate, call, results = Gate(), Together(), list[int]()

    async def ask(part: int) -> None:
        results.append((await batching.run_together(part, call, key="a")).result)

    async def ask_late() -> None:
        with pytest.raises(DeadlinePassed):
            await batching.run_together(2, call, key="a", timeout_s=1)

    async with anyio.create_task_group() as callers:
        callers.start_soon(batching.run, gate)
        await entered(gate)
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(ask, 0)
            await until(lambda: batching.depth == 1)
            callers.start_soon(ask, 1)
            callers.start_soon(ask_late)
            callers.start_soon(ask, 3)
            await until(lambda: batching.depth == 4)
            impatient.cancel_scope.cancel()
        clock.now += 2
        gate.opened.set()
    assert call.batches == [[1, 3]]
    assert sorted(results) == [2, 6]


async def test_one_failure_in_a_batch_is_its_callers_alone(batching: Worker) -> None:
    gate, results = Gate(), list[object]()

    def call(parts: Parts) -> list[int | Exception]:
        return [ValueError("odd") if part % 2 else part for _, part in parts]

    async def ask(part: int) -> None:
        try:
            results.append((await batching.run_together(part, call, key="a")).result)
        except ValueError as error:
            results.append(str(error))

    async with anyio.create_task_group() as callers:
        callers.start_soon(batching.run, gate)
        await entered(gate)
        for part in range(3):
            callers.start_soon(ask, part)
        await until(lambda: batching.depth == 3)
        gate.opened.set()
    assert sorted(results, key=str) == [0, 2, "odd"]


async def test_an_idle_worker_waits_for_company_until_the_batch_is_full() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=60), Together()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as callers:
            for part in range(3):
                callers.start_soon(partial(worker.run_together, part, call, key="a"))
        assert sorted(call.batches[0]) == [0, 1, 2]
        await worker.run(lambda _task: None)  # which has no key, and so waits for nobody
    assert worker.close(30)


async def test_an_idle_worker_waits_for_company_no_longer_than_it_may() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=0.01), Together()
    with anyio.fail_after(30):
        assert (await worker.run_together(4, call, key="a")).result == 8
    assert worker.close(30)


async def test_a_worker_that_waits_for_company_can_be_closed() -> None:
    worker, call = Worker(queue=9, batch=3, batch_wait_s=60), Together()
    async with anyio.create_task_group() as callers:
        callers.start_soon(partial(worker.run_together, 1, call, key="a"))
        await until(lambda: worker.depth == 1)
        assert await to_thread.run_sync(worker.close, 30)
        callers.cancel_scope.cancel()
    assert call.batches == []
