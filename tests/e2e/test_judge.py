"""Two talkative models, one of which can judge: the agent asks it whether their answers agree.

Both models are scripted stand-ins behind real HTTP; broker and agent are real.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from aiohttp import web
from anyio import to_thread

from agent.judging.trial_pairs import TRIAL_PAIRS
from agent.standalone.broker import broker, free_port
from product import START_S, Client, Product, jpeg

pytestmark = pytest.mark.anyio
BOARD = "A man with a bag walks past a shop."
CLOUD = "Somebody is walking along a street of shops."
CLOUD_S = 0.4  # the board is worth asking first, so that there is something to compare
SAME = {(pair.one, pair.other): pair.same for pair in TRIAL_PAIRS} | {(BOARD, CLOUD): True}


def completion(text: str, first_token: dict[str, float]) -> web.Response:
    top = [{"token": token, "logprob": math.log(p)} for token, p in first_token.items()]
    message = {"role": "assistant", "content": text}
    logprobs = {"content": [{**top[0], "top_logprobs": top}]}
    return web.json_response({"choices": [{"message": message, "logprobs": logprobs}]})


async def chat(answer: str, request: web.Request) -> web.Response:
    content = (await request.json())["messages"][-1]["content"]
    if isinstance(content, list):
        if answer == CLOUD:
            await anyio.sleep(CLOUD_S)
        return completion(answer, {answer.split()[0]: 0.6, "It": 0.3})
    one, other = (line.partition(": ")[2] for line in content.splitlines()[2:4])
    same = SAME.get((one, other), SAME.get((other, one)))
    return completion("Yes" if same else "No", {"Yes": 0.97 if same else 0.03, "No": 0.03 if same else 0.97})


@asynccontextmanager
async def model_server(
    name: str, answer: str, *, socket: Path | None = None, port: int = 0
) -> AsyncIterator[None]:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name}]})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", partial(chat, answer)), web.get("/v1/models", models)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.UnixSite(runner, str(socket)) if socket else web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    yield
    await runner.cleanup()


async def agreement(client: Client) -> dict[str, Any]:
    """Returns what the next telemetry message says about agreement."""
    content = json.loads((await client.receive(client.product.topics.telemetry)).payload)
    return dict(content["agreement"])


async def test_the_agent_tries_a_judge_and_uses_its_judgements(tmp_path: Path) -> None:
    with broker(tmp_path) as (_, port):
        product = Product(tmp_path, port, free_port())
        product.configure()
        site = yaml.safe_load(product.config.read_text())
        site["peers"] = [{"id": "peer", "url": f"http://127.0.0.1:{product.peer_port}"}]
        site["peers"][0]["prices"] = {"*": {"per_call": 0.001}}
        site["discovery"] = {"zeroconf": False}
        site["probing"] = {"sight": False}
        product.config.write_text(yaml.safe_dump(site))
        async with (
            model_server("board", BOARD, socket=tmp_path / "vlm.sock"),
            model_server("cloud", CLOUD, port=product.peer_port),
        ):
            service = product.start("agent")
            try:
                await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
                await product.online()
                async with product.client(also=product.topics.telemetry) as client:
                    found: dict[str, Any] = {}
                    with anyio.fail_after(120):
                        while found.get("forms", {}).get("text", {}).get("judged_share", 0) == 0:
                            await client.ask({"question": "Describe the picture."}, jpeg()[0])
                            found = await agreement(client)
            finally:
                await to_thread.run_sync(service.stop)
    assert found["judge"]["models"] == {
        "cloud": {"used": True, "finding": "its AUROC on 20 trial pairs is 1.00"}
    }
    assert found["judge"]["calls"] >= 2 * len(TRIAL_PAIRS) + 2
    assert found["judge"]["tokens"] > 0
    assert found["judge"]["cost"] == pytest.approx(found["judge"]["calls"] * 0.001)
    assert found["warnings"] == []
