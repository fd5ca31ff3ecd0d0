"""The client's connections: timeouts, cancellation, and servers that cannot be reached."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from vlm import VlmClient, VlmError, VlmTimeout, VlmUnavailable

pytestmark = pytest.mark.anyio


async def test_a_timeout_closes_the_connection(other_server: Any, ask: Any) -> None:
    closed = anyio.Event()

    async def chat(_request: web.Request) -> web.Response:
        try:
            await anyio.sleep_forever()
        finally:
            closed.set()
        raise AssertionError

    async with other_server(chat) as client:
        with pytest.raises(VlmTimeout):
            await ask(client, timeout_s=0.05)
        with anyio.fail_after(10):
            await closed.wait()


async def test_a_connection_that_breaks_is_unavailable(other_server: Any, ask: Any) -> None:
    async def chat(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async with other_server(chat) as client:
        with pytest.raises(VlmUnavailable):
            await ask(client)


async def test_without_a_server_the_client_is_unavailable_and_not_ready(tmp_path: Path) -> None:
    client = VlmClient(f"unix:{tmp_path}/no.sock")
    with pytest.raises(VlmUnavailable, match=r"cannot reach unix:.*no\.sock"):
        await client.models()
    assert not await client.ready()
    await client.aclose()


async def test_a_timeout_of_0_fails_without_a_request(ask: Any) -> None:
    with pytest.raises(VlmTimeout):
        await ask(VlmClient("http://127.0.0.1:9"), timeout_s=0)


def test_importing_vlm_loads_the_client_only() -> None:
    program = "import sys, vlm; print([m for m in ('torch', 'vlm.server', 'vlm.model') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_invalid_url_is_rejected() -> None:
    with pytest.raises(VlmError, match="write unix:/path"):
        VlmClient("localhost:8010")
