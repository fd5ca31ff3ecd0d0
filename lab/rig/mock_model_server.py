"""A mock of the model server, for runs that do not measure the model.

It waits as long as a model would compute and answers with a fixed word or from a script: one request at a
time on each slot, with log-normal response times. It has the same endpoints as `inarvl-vlm`, probes included.
Reports that use it say so, because its times say nothing about a model.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import anyio
import numpy as np
import typer
from aiohttp import web

from inarvl import systemd
from vlm.completion import ModelCard
from vlm.sockets import listening
from vlm.timing import Timing

app = typer.Typer(add_completion=False)
MAX_QUEUED = 8
NO_TIME = Timing(0, 0).to_header()


@dataclass(frozen=True)
class MockAnswer:
    """An answer, with the probability of its first token."""

    text: str
    probability: float


class MockModelServer:
    """A server with one model.

    Args:
        model: The name of the model.
        ms: Median response time.
        spread: Standard deviation of the response time's logarithm.
        slots: Requests that are answered at the same time.
        script: Returns the answer to a question about images; without it the answer is "yes".
        clock: Seconds, for the times that it reports.
        sleep: Waits a number of seconds; a simulated one moves `clock` instead.
    """

    def __init__(
        self,
        model: str,
        ms: float,
        spread: float,
        slots: int,
        rng: np.random.Generator,
        *,
        script: Callable[[Sequence[bytes]], MockAnswer] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._card = ModelCard(model, resolutions=(64,), max_tokens=16)
        self._ms = ms
        self._spread = spread
        self._rng = rng
        self._script = script
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(slots)
        self._queued = 0
        self._answering = 0

    def app(self) -> web.Application:
        """Returns the endpoints; run them with handler_cancellation, so that a disconnect frees the slot."""
        app = web.Application(client_max_size=32 * 2**20)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._models),
                web.get("/healthz", self._health),
                web.get("/readyz", self._health),
                web.post("/probe", self._health),
            ]
        )
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        await request.read()
        if self._queued >= MAX_QUEUED:
            return web.json_response({"error": {"code": "busy", "message": "the queue is full"}}, status=429)
        arrived = self._clock()
        self._queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._queued -= 1
        self._answering += 1
        try:
            started = self._clock()
            await self._sleep(self._ms * math.exp(self._spread * self._rng.standard_normal()) / 1e3)
        finally:
            self._answering -= 1
            self._slots.release()
        timing = Timing((started - arrived) * 1e3, (self._clock() - started) * 1e3)
        return web.json_response(
            self._completion(await self._answer(request)), headers={"Server-Timing": timing.to_header()}
        )

    async def _answer(self, request: web.Request) -> MockAnswer:
        if self._script is None:
            return MockAnswer("yes", float(self._rng.uniform(0.55, 0.999)))
        parts = (await request.json())["messages"][-1]["content"]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return self._script([base64.b64decode(url.partition(",")[2]) for url in urls])

    def _completion(self, answer: MockAnswer) -> dict[str, object]:
        p = answer.probability
        tokens = ((answer.text, p), ("another", 1 - p))
        top = [{"token": token, "logprob": math.log(share)} for token, share in tokens]
        token = {**top[0], "top_logprobs": top}
        return {
            "id": "mock",
            "object": "chat.completion",
            "created": 0,
            "model": self._card.id,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer.text},
                    "finish_reason": "stop",
                    "logprobs": {"content": [token]},
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._card.to_json()]})

    async def _health(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(
            {"status": "ok", "answering": self._answering}, headers={"Server-Timing": NO_TIME}
        )


@app.command()
def main(
    listen: Annotated[str, typer.Option(help="unix:/path or host:port.")],
    model: Annotated[str, typer.Option(help="Name of the model.")],
    ms: Annotated[float, typer.Option(min=0, help="Median response time in ms.")],
    spread: Annotated[float, typer.Option(min=0, help="Deviation of the response time's logarithm.")] = 0.15,
    slots: Annotated[int, typer.Option(min=1, help="Requests answered at the same time.")] = 1,
    seed: int = 0,
) -> None:
    """Serve until the process is killed."""

    async def serve() -> None:
        server = MockModelServer(model, ms, spread, slots, np.random.default_rng(seed))
        with listening(listen) as listener:
            runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            systemd.notify("READY=1")
            await anyio.sleep_forever()

    anyio.run(serve)


if __name__ == "__main__":
    app()
