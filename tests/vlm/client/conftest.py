"""A client of an OpenAI-compatible server that is not inarvl-vlm, with handlers that the test gives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from vlm import VlmClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OtherServer = Callable[..., AbstractAsyncContextManager[VlmClient]]


@pytest.fixture
def other_server() -> OtherServer:
    """Runs a server with chat completions and a model list, and nothing else; gives a client of it."""

    @asynccontextmanager
    async def run(chat: Handler, models: object = None) -> AsyncIterator[VlmClient]:
        async def list_models(_request: web.Request) -> web.Response:
            return web.json_response(models or {"data": [{"id": "other", "max_model_len": 4096}]})

        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", list_models)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            client = VlmClient(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
            try:
                yield client
            finally:
                await client.aclose()
        finally:
            await runner.cleanup()

    return run


@pytest.fixture
def ask() -> Callable[..., Awaitable[Any]]:
    """Asks one question; keyword arguments replace the defaults."""

    async def complete(client: VlmClient, **options: Any) -> Any:
        defaults = {"model": "m", "max_tokens": 4, "timeout_s": 10}
        return await client.complete("what?", b"\xff\xd8", **{**defaults, **options})

    return complete
