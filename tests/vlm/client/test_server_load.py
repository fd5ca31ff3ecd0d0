"""The load of other servers, from what they serve at /metrics."""

import pytest
from aiohttp import web

from vlm import VlmClient
from vlm.server_load import read_load

pytestmark = pytest.mark.anyio
LLAMACPP = """\
# HELP llamacpp:requests_processing Number of requests processing
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 1
# HELP llamacpp:requests_deferred Number of requests deferred
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 3
# TYPE llamacpp:n_busy_slots_per_decode gauge
llamacpp:n_busy_slots_per_decode 7
"""
VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b}"} 2.0
vllm:num_requests_running{engine="1",model_name="a b}"} 1.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="a b}"} 0.0
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",model_name="a b}",reason="capacity"} 4.0
"""


@pytest.mark.parametrize(("metrics", "requests"), [(LLAMACPP, 4), (VLLM, 3)], ids=["llama.cpp", "vLLM"])
async def test_computed_and_waiting_requests_are_counted(metrics: str, requests: int) -> None:
    assert read_load(metrics) == requests


@pytest.mark.parametrize(
    "metrics",
    ["", "<html>", "process_open_fds 7", "llamacpp:requests_processing", "vllm:num_requests_running{ 1"]
    + [f"llamacpp:requests_deferred {value}" for value in ("NaN", "-1", "1e400", "+Inf", "9" * 400)],
)
async def test_anything_else_is_no_load(metrics: str) -> None:
    assert read_load(metrics) is None


async def test_extreme_metrics_are_limited() -> None:
    assert read_load("llamacpp:requests_deferred 999999999\n" * 100_000) == 10_000


async def client_of(app: web.Application) -> tuple[web.AppRunner, VlmClient]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, VlmClient(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")


@pytest.mark.parametrize("status", [200, 404, 501])
async def test_a_server_without_such_metrics_is_asked_once(status: int) -> None:
    asked = []

    async def metrics(_request: web.Request) -> web.Response:
        asked.append(status)
        return web.Response(status=status, text="python_info 1")

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/v1/models", models)])
    runner, client = await client_of(app)
    try:
        await client.ping()
        assert [await client.load() for _ in range(3)] == [None] * 3
        assert len(asked) == 1
        assert await client.ready()
        await client.load()
        assert len(asked) == 2, "it may have been started again with metrics"
    finally:
        await client.aclose()
        await runner.cleanup()


async def test_inarvls_own_server_is_not_asked() -> None:
    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=LLAMACPP)

    app = web.Application()
    app.add_routes([web.get("/healthz", health), web.get("/metrics", metrics)])
    runner, client = await client_of(app)
    try:
        await client.ping()
        assert await client.load() is None
    finally:
        await client.aclose()
        await runner.cleanup()
