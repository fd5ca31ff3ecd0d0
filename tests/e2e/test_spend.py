"""A cap on the day's spend, with prices that only the peer itself announces: broker and agent are real."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from aiohttp import ClientSession, web
from anyio import to_thread
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.messages.reply import Answer, Refusal
from agent.standalone.broker import broker, free_port
from cloud.peer import TOPIC, PeerRecord
from inarvl.price import Price, Prices
from lab.rig.mock_model_server import MockModelServer
from product import START_S, Client, Product

pytestmark = pytest.mark.anyio
PER_CALL, CAP = 0.1, 0.55


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    return file.getvalue()


@asynccontextmanager
async def site(folder: Path, metrics_port: int) -> AsyncIterator[Product]:
    rng, peer_port = np.random.default_rng(0), free_port()
    runners = [web.AppRunner(MockModelServer("m", 1.0, 0.0, 8, rng).app()) for _ in range(2)]
    for runner in runners:
        await runner.setup()
    await web.UnixSite(runners[0], f"{folder}/vlm.sock").start()
    await web.TCPSite(runners[1], "127.0.0.1", peer_port).start()
    with broker(folder) as (_, port):
        product = Product(folder, port, peer_port)
        product.site = {
            "discovery": {"zeroconf": False},
            "spend": {"currency": "EUR", "per_day": CAP},
            "metrics": f"127.0.0.1:{metrics_port}",
        }
        product.configure()
        prices = Prices("EUR", (("m", Price(per_call=PER_CALL)),))
        record = PeerRecord("rack", f"http://127.0.0.1:{peer_port}", ("m",), prices=prices)
        try:
            async with product.client() as client:
                await client.connection.publish(f"{TOPIC}/rack", record.to_bytes(), qos=1, retain=True)
            await started(product)
            yield product
        finally:
            for service in product.services.values():
                service.stop()
    for runner in runners:
        await runner.cleanup()


async def started(product: Product) -> None:
    """Starts the agent; returns when it has checked the peer."""
    service = product.start("agent")
    await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
    await product.online()
    async with product.client(also=product.topics.telemetry) as client:
        with anyio.fail_after(60):
            while not any(server["id"] == "rack" and server["healthy"] for server in await servers(client)):
                pass


async def telemetry(client: Client) -> dict[str, Any]:
    return dict(json.loads((await client.receive(client.product.topics.telemetry)).payload))


async def servers(client: Client) -> list[dict[str, Any]]:
    return list((await telemetry(client))["servers"])


async def test_beyond_the_cap_the_cloud_is_not_asked_also_after_a_crash(
    tmp_path: Path,
) -> None:
    metrics_port = free_port()
    async with (
        site(tmp_path, metrics_port) as product,
        product.client() as client,
        product.client(also=product.topics.event) as listener,
    ):

        async def ask(**fields: str) -> Any:
            return await client.ask({"question": "what?", **fields}, picture())

        replies = [await ask(pin="cloud") for _ in range(7)]
        costs = [(reply.cost, reply.currency, reply.cost_source) for reply in replies[:5]]
        assert costs == [(PER_CALL, "EUR", "counted")] * 5
        assert [reply.code for reply in replies[5:]] == ["spend_cap_reached"] * 2
        assert isinstance(reply := await ask(), Answer)
        assert (reply.tier, reply.cost) == ("local", 0.0)
        assert "the board has spent 0.5 of 0.55 EUR today" in reply.reason

        async with (
            ClientSession() as session,
            session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response,
        ):
            families = text_string_to_metric_families(await response.text())
        samples = {(s.name, *sorted(s.labels.values())): s.value for f in families for s in f.samples}
        assert samples["inarvl_spend_total", "EUR", "answer", "counted", "rack"] == pytest.approx(0.5)
        assert samples["inarvl_spend_today", "EUR"] == pytest.approx(0.5)
        assert samples["inarvl_replies_total", "answered", "cloud"] == 5
        assert samples["inarvl_errors_total", "spend_cap_reached"] == 2
        assert samples["inarvl_reply_latency_seconds_count", "local"] == 1

        product.services["agent"]._process.kill()
        await started(product)
        assert isinstance(refusal := await ask(pin="cloud"), Refusal)
        assert refusal.code == "spend_cap_reached"
        shown = await to_thread.run_sync(
            lambda: CliRunner().invoke(inarvl, ["status", "--config", str(product.config)]).output
        )
        assert "spend today: 0.5000 of 0.55 EUR (answer 0.5000)" in shown

        events: list[dict[str, str]] = []
        await listener.connection.publish(product.topics.event, b'{"event": "end of the test"}', qos=1)
        while not events or events[-1]["event"] != "end of the test":
            events.append(json.loads((await listener.receive(product.topics.event)).payload))
        reached = [event for event in events if event.get("code") == "spend_cap_reached"]
        assert len(reached) == 2, "one for each run of the agent"
