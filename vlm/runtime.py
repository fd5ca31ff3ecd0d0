"""The models of one server: loads them one after another, then answers requests from the worker's queue."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from vlm.checkpoint import Checkpoint, Device
from vlm.completion import ModelCard
from vlm.errors import DeadlinePassed, GenerationFailed, InvalidRequest, OutOfMemory, ServerNotReady
from vlm.image_limit import TOO_MANY_IMAGES
from vlm.loading import load
from vlm.loading_progress import Report
from vlm.model import Answer, BatchItem, VisionModel
from vlm.schema import ChatRequest
from vlm.worker import Abandoned, Task, TimedResult, Worker

log = logging.getLogger(__name__)


class Runtime:
    """Loads checkpoints and answers requests, both on the thread of `worker`.

    They share one thread because torch's thread count and CUDA context belong to it.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._models: dict[str, VisionModel] = {}
        self._max_tokens = 0
        self._not_ready_reason: str | None = "starting"
        self._out_of_memory_error: OutOfMemory | None = None
        self._out_of_memory = anyio.Event()

    @property
    def not_ready_reason(self) -> str | None:
        """Why requests are refused now; None if they are accepted."""
        return self._not_ready_reason

    @property
    def queue_length(self) -> int:
        """How many requests are waiting."""
        return self._worker.queue_length

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Cards of the models that are loaded and warmed up."""
        return tuple(model.card for model in self._models.values())

    def stuck_s(self) -> float:
        """Seconds since the running request last made progress; 0 when idle."""
        return self._worker.stuck_s()

    async def load(
        self,
        checkpoints: Sequence[Checkpoint],
        *,
        device: Device,
        max_tokens: int,
        threads: int | None,
        report: Report,
    ) -> None:
        """Loads and warms up every checkpoint; requests are accepted after the last one.

        Raises:
            ModelLoadError: a checkpoint cannot be served.
        """
        self._max_tokens = max_tokens
        for number, checkpoint in enumerate(checkpoints, 1):
            self._not_ready_reason = f"loading {checkpoint.name}, {number} of {len(checkpoints)}"
            load_one = partial(_load_and_warm_up, checkpoint, device, max_tokens, threads, report)
            self._models[checkpoint.name] = (await self._worker.run(load_one)).result
        self._not_ready_reason = None

    def card(self, name: str | None) -> ModelCard:
        """Returns the card of the model that a request names; None means the only one.

        Raises:
            ServerNotReady: requests are refused now.
            InvalidRequest: there is no model of that name, or `name` is None and there are several.
        """
        if self._not_ready_reason is not None:
            raise ServerNotReady(f"the server is not ready: {self._not_ready_reason}; try again soon")
        if name is None and len(self._models) == 1:
            return self.cards[0]
        if name is None or name not in self._models:
            problem = f"unknown model {name!r}" if name else "the request names no model"
            raise InvalidRequest(f"{problem}; available: {', '.join(self._models)}", "model_not_found", 404)
        return self._models[name].card

    async def answer(
        self,
        request: ChatRequest,
        *,
        deadline_ms: float | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> TimedResult[Answer]:
        """Answers `request` within `deadline_ms` from now. Cancelling this stops the generation.

        Args:
            on_text: called on the worker's thread with each new piece of text.

        Raises:
            InvalidRequest: the model cannot answer this request.
            VlmBusy, DeadlinePassed, ServerNotReady, GenerationFailed, OutOfMemory: see `vlm.errors`.
        """
        model = self._models[self.card(request.model).id]
        _check_images(model.card, len(request.images))
        max_tokens = min(self._max_tokens, model.card.max_tokens or self._max_tokens)
        notes: tuple[str, ...] = ()
        if request.max_tokens is not None and request.max_tokens > max_tokens:
            notes = (f"max_tokens was reduced from {request.max_tokens} to {max_tokens}, the limit here",)
        item = _Item(request, min(request.max_tokens or max_tokens, max_tokens), on_text)
        # A failed batch is repeated one by one, and text that was already streamed would be sent twice.
        batch_key = None if on_text else model.batch_key(request)
        try:
            timed = await self._worker.run_batched(
                item,
                partial(_answer_batch, model),
                batch_key=batch_key,
                timeout_s=None if deadline_ms is None else deadline_ms / 1000,
            )
            return replace(timed, result=replace(timed.result, notes=notes))
        except OutOfMemory as error:
            self._out_of_memory_error = error
            self._out_of_memory.set()
            raise

    async def wait_out_of_memory(self) -> None:
        """Waits until a request runs out of memory, then raises its OutOfMemory."""
        await self._out_of_memory.wait()
        if self._out_of_memory_error:
            raise self._out_of_memory_error

    def stop_accepting(self) -> None:
        """Refuses new requests; those already accepted continue."""
        self._not_ready_reason = "stopping"

    def close(self, timeout_s: float) -> bool:
        """Stops the running request; False if it did not stop within `timeout_s`."""
        self.stop_accepting()
        return self._worker.close(timeout_s)


def _check_images(card: ModelCard, sent: int) -> None:
    if card.max_images is not None and sent > card.max_images:
        accepted = "1 image" if card.max_images == 1 else f"at most {card.max_images} images"
        raise InvalidRequest(
            f"{card.id} accepts {accepted} in a request, and this one has {sent}; send fewer", TOO_MANY_IMAGES
        )


@dataclass(frozen=True)
class _Item:
    request: ChatRequest
    max_tokens: int
    on_text: Callable[[str], None] | None


def _answer_batch(model: VisionModel, items: Sequence[tuple[Task, _Item]]) -> list[Answer | Exception]:
    """Answers all at once. If one of several fails, each is answered by itself."""
    if len(items) > 1:
        batch = [BatchItem(item.request, item.max_tokens, task.check) for task, item in items]
        try:
            return model.generate_batch(batch)
        except (InvalidRequest, GenerationFailed, Abandoned, DeadlinePassed) as error:
            reason = str(error) or type(error).__name__
            log.info("a batch of %d failed, answering one by one: %s", len(items), reason)
    return [_answer_one(model, task, item) for task, item in items]


def _answer_one(model: VisionModel, task: Task, item: _Item) -> Answer | Exception:
    try:
        task.check()
        return model.generate(
            item.request, max_tokens=item.max_tokens, check=task.check, on_text=item.on_text
        )
    except Exception as error:
        return error


def _load_and_warm_up(
    checkpoint: Checkpoint, device: Device, max_tokens: int, threads: int | None, report: Report, task: Task
) -> VisionModel:
    """Runs on the worker's thread."""

    def progress(share: float) -> None:
        task.check()
        report(checkpoint.name, "loading", share)

    progress(0.0)
    if threads is not None:
        _set_threads(threads)
    model = load(checkpoint, device, max_tokens, progress)
    report(checkpoint.name, "warming up", 1.0)
    model.warm_up(task.check)
    report(checkpoint.name, "ready", 1.0)
    return model


def _set_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the separate OpenMP library of bitsandbytes
    import torch

    torch.set_num_threads(threads)
