"""The worker's rules: one at a time, bounded, and nothing is done for a caller who has gone."""

import threading
from collections.abc import Callable, Iterator

import anyio
import pytest
from anyio import to_thread

from vlm.errors import DeadlinePassed, VlmBusy
from vlm.worker import Abandoned, Task, Worker

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
                await worker.run(ran.append, deadline=clock.now + 1)

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
        await worker.run(slow, deadline=clock.now + 1)


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
