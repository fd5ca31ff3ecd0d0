"""A client of an OpenAI-compatible server that is not inarvl-vlm, with handlers that the test gives."""

import json
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


@pytest.fixture
def serving() -> Callable[..., AbstractAsyncContextManager[VlmClient]]:
    """Runs the server of a `Case` of test_dialect."""

    @asynccontextmanager
    async def run(case: Any, chats: list[dict[str, Any]]) -> AsyncIterator[VlmClient]:
        """Runs the server of a case and yields a client of it; `chats` receives the requests."""

        def respond(status: int, body: object) -> web.Response:
            text = body if isinstance(body, str) else json.dumps(body)
            kind = "text/html" if isinstance(body, str) else "application/json"
            headers = {"Location": "/login"} if status == 302 else {}
            return web.Response(status=status, text=text, content_type=kind, headers=headers)

        async def handle(request: web.Request) -> web.Response:
            if request.path == f"{case.base}/chat/completions" and request.method == "POST":
                fields = await request.json()
                chats.append(fields)
                refusal = next(filter(None, (refuse(fields) for refuse in case.refusals)), None)
                return respond(*refusal) if refusal else respond(200, case.reply(fields))
            if request.path == f"{case.base}/models" and case.models is not None:
                return respond(200, case.models)
            return respond(*case.unknown)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}{case.url_path}"
            client = VlmClient(url, models=case.configured)
            try:
                yield client
            finally:
                await client.aclose()
        finally:
            await runner.cleanup()

    return run
