"""The models of one server, asked one thing at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from vlm.checkpoint import Checkpoint, Device
from vlm.completion import ModelCard
from vlm.errors import DeadlinePassed, GenerationFailed, InvalidRequest, OutOfMemory, ServerNotReady
from vlm.loading import load
from vlm.loading_progress import Report
from vlm.model import Answer, Ask, VisionModel
from vlm.schema import ChatRequest
from vlm.worker import Abandoned, Done, Task, Worker

log = logging.getLogger(__name__)


class Runtime:
    """Loads checkpoints one after another, then answers from a bounded queue.

    Loading and answering share one thread: torch's thread count and CUDA context belong to it.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._models: dict[str, VisionModel] = {}
        self._max_tokens = 0
        self._not_ready: str | None = "starting"
        self._exhausted: OutOfMemory | None = None
        self._ended = anyio.Event()

    @property
    def not_ready(self) -> str | None:
        """Why no question is taken now, in words; None when they are."""
        return self._not_ready

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._worker.depth

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Of the models that are loaded and warm."""
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
        """Load and warm up every checkpoint; only then are questions taken. Raises ModelLoadError."""
        self._max_tokens = max_tokens
        for number, checkpoint in enumerate(checkpoints, 1):
            self._not_ready = f"loading {checkpoint.name}, {number} of {len(checkpoints)}"
            bring = partial(_bring, checkpoint, device, max_tokens, threads, report)
            self._models[checkpoint.name] = (await self._worker.run(bring)).result
        self._not_ready = None

    def card(self, name: str | None) -> ModelCard:
        """Of the model that a request means; it need not name the only one.

        Raises ServerNotReady, and InvalidRequest for a name that is not served.
        """
        if self._not_ready is not None:
            raise ServerNotReady(f"the server is not ready: {self._not_ready}; try again soon")
        if name is None and len(self._models) == 1:
            return self.cards[0]
        if name is None or name not in self._models:
            asked = f"no model {name!r} here" if name else "name a model"
            raise InvalidRequest(f"{asked}; there is {', '.join(self._models)}", "model_not_found", 404)
        return self._models[name].card

    async def answer(
        self,
        request: ChatRequest,
        *,
        deadline_ms: float | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Done[Answer]:
        """Answer `request`, at the latest `deadline_ms` from now; cancelling this stops the generation.

        `on_text` is called on the worker's thread. Raises InvalidRequest, VlmBusy, DeadlinePassed,
        ServerNotReady, GenerationFailed and OutOfMemory.
        """
        model = self._models[self.card(request.model).id]
        part = _Part(request, self._tokens(request, model.card), on_text)
        timeout_s = None if deadline_ms is None else deadline_ms / 1000
        key = (
            None if on_text else model.together(request)
        )  # what was told cannot be taken back and told again
        try:
            return await self._worker.run_together(
                part, partial(_answer_together, model), key=key, timeout_s=timeout_s
            )
        except OutOfMemory as error:
            self._exhausted = error
            self._ended.set()
            raise

    async def exhaustion(self) -> None:
        """Wait until memory has run out, then raise that OutOfMemory."""
        await self._ended.wait()
        if self._exhausted:
            raise self._exhausted

    def refuse_more(self) -> None:
        """Take no new requests; those that are in go on."""
        self._not_ready = "stopping"

    def close(self, timeout_s: float) -> bool:
        """Stop whatever still runs; False when it could not be stopped within `timeout_s`."""
        self._not_ready = "stopping"
        return self._worker.close(timeout_s)

    def _tokens(self, request: ChatRequest, card: ModelCard) -> int:
        """How many to give: over the server's limit is refused, over the model's own is cut to it."""
        if (request.max_tokens or 0) > self._max_tokens:
            raise InvalidRequest(
                f"max_tokens is {request.max_tokens} and this server gives at most {self._max_tokens}; "
                "ask for fewer, or start it with a higher --max-tokens",
                "too_many_tokens",
            )
        return min(request.max_tokens or self._max_tokens, card.max_tokens or self._max_tokens)


@dataclass(frozen=True)
class _Part:
    request: ChatRequest
    max_tokens: int
    on_text: Callable[[str], None] | None


def _answer_together(model: VisionModel, parts: Sequence[tuple[Task, _Part]]) -> list[Answer | Exception]:
    """Answer all at once; where one of several is to blame for a failure, each by itself."""
    if len(parts) > 1:
        asks = [Ask(part.request, part.max_tokens, task.check) for task, part in parts]
        try:
            return model.generate_together(asks)
        except (InvalidRequest, GenerationFailed, Abandoned, DeadlinePassed) as error:
            log.info("answering %d requests one by one: %s", len(parts), error or type(error).__name__)
    return [_answer_alone(model, task, part) for task, part in parts]


def _answer_alone(model: VisionModel, task: Task, part: _Part) -> Answer | Exception:
    try:
        task.check()
        return model.generate(
            part.request, max_tokens=part.max_tokens, check=task.check, on_text=part.on_text
        )
    except Exception as error:
        return error


def _bring(
    checkpoint: Checkpoint, device: Device, max_tokens: int, threads: int | None, report: Report, task: Task
) -> VisionModel:
    """Load and warm up, on the worker's thread."""

    def progress(share: float) -> None:
        task.check()
        report(checkpoint.name, "loading", share)

    progress(0.0)
    if threads is not None:
        _use_threads(threads)
    model = load(checkpoint, device, max_tokens, progress)
    report(checkpoint.name, "warming up", 1.0)
    model.warm_up(task.check)
    report(checkpoint.name, "ready", 1.0)
    return model


def _use_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # bitsandbytes brings an OpenMP of its own, which reads this
    import torch

    torch.set_num_threads(threads)
