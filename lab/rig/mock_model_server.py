"""A paced stand-in for a model server, for runs whose subject is not the model.

It takes the time a model would take and computes nothing: one request at a time on each slot, a log-normal
time for each, fixed words. It speaks the same endpoints as `inarvl-vlm`, probes included. What is measured
with it says nothing of any model, and every report of ours that used it says so.
"""

from __future__ import annotations

import asyncio
import math
import time
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
MOST_WAITING = 8
UP = Timing(0, 0).to_header()


class StandIn:
    """One model that takes `ms` to answer, `spread` being the deviation of the time's logarithm."""

    def __init__(self, model: str, ms: float, spread: float, slots: int, rng: np.random.Generator) -> None:
        self._card = ModelCard(model, resolutions=(64,), max_tokens=16)
        self._ms = ms
        self._spread = spread
        self._rng = rng
        self._slots = asyncio.Semaphore(slots)
        self._waiting = 0
        self._answering = 0

    def app(self) -> web.Application:
        """The endpoints; run it with handler_cancellation, so that a hang-up frees the slot."""
        app = web.Application(client_max_size=32 * 2**20)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._models),
                web.get("/healthz", self._well),
                web.get("/readyz", self._well),
                web.post("/probe", self._well),
            ]
        )
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        await request.read()
        if self._waiting >= MOST_WAITING:
            return web.json_response({"error": {"code": "busy", "message": "the queue is full"}}, status=429)
        arrived = time.monotonic()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._answering += 1
        try:
            started = time.monotonic()
            await asyncio.sleep(self._ms * math.exp(self._spread * self._rng.standard_normal()) / 1e3)
        finally:
            self._answering -= 1
            self._slots.release()
        timing = Timing((started - arrived) * 1e3, (time.monotonic() - started) * 1e3)
        return web.json_response(self._answer(), headers={"Server-Timing": timing.to_header()})

    def _answer(self) -> dict[str, object]:
        likely = float(self._rng.uniform(0.55, 0.999))
        tops = [{"token": word, "logprob": math.log(p)} for word, p in (("yes", likely), ("no", 1 - likely))]
        token = {**tops[0], "top_logprobs": tops}
        return {
            "id": "stand-in",
            "object": "chat.completion",
            "created": 0,
            "model": self._card.id,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "yes"},
                    "finish_reason": "stop",
                    "logprobs": {"content": [token]},
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._card.to_json()]})

    async def _well(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(
            {"status": "ok", "answering": self._answering}, headers={"Server-Timing": UP}
        )


@app.command()
def main(
    listen: Annotated[str, typer.Option(help="unix:/path or host:port.")],
    model: Annotated[str, typer.Option(help="What it is served as.")],
    ms: Annotated[float, typer.Option(min=0, help="Median time of an answer.")],
    spread: Annotated[float, typer.Option(min=0)] = 0.15,
    slots: Annotated[int, typer.Option(min=1, help="Requests at the same time.")] = 1,
    seed: int = 0,
) -> None:
    """Serve until killed."""

    async def serve() -> None:
        standin = StandIn(model, ms, spread, slots, np.random.default_rng(seed))
        with listening(listen) as listener:
            runner = web.AppRunner(standin.app(), handler_cancellation=True, access_log=None)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            systemd.notify("READY=1")
            await anyio.sleep_forever()

    anyio.run(serve)


if __name__ == "__main__":
    app()
