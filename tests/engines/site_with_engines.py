"""The agent with a board and a peer, each of which may be an engine of another project."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import anyio
import numpy as np
import yaml

from agent.messages.reply import Answer, Refusal, Reply
from agent.standalone.broker import broker
from lab.scenes.question import Question, ask
from lab.scenes.render import render
from lab.scenes.scene import draw
from product import DEVICE, START_S, Product

RECOVERY_S = 60.0
SHOWN = ("existence", "colour", "shape", "sign")


def scene(seed: int, side: int) -> tuple[bytes, Question]:
    """A drawn scene as JPEG of `side` pixels, and a question about it that every bundled model can answer."""
    rng = np.random.default_rng(seed)
    drawn = draw(rng)
    file = io.BytesIO()
    render(drawn).resize((side, side)).save(file, "JPEG", quality=92)
    return file.getvalue(), ask(drawn, rng, 1, SHOWN)[0]


@contextmanager
def running_site(
    folder: Path, local: str, peer: str, sides: Mapping[str, int], servers: Sequence[str] = ()
) -> Iterator[Product]:
    """Runs a broker and the agent, whose board is at the URL `local`, and whose only peer is at `peer`.

    Args:
        sides: the resolution of each model.
        servers: inarvl's own services to run as well, such as "vlm".
    """
    models = [{"name": name, "resolutions": [side]} for name, side in sides.items()]
    profile = {
        "name": "engines",
        "extends": "generic-x86",
        "rates": {"telemetry_s": 0.2, "probe_s": 0.2},
        "models": {"local": models, "cloud": models},
    }
    with broker(folder) as (_, port):
        product = Product(folder, port, peer_port=0)
        (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
        settings = {
            "device": DEVICE,
            "broker": {"url": f"mqtt://127.0.0.1:{port}"},
            "local": local,
            "peers": [{"id": "engine", "url": peer}],
            "discovery": {"zeroconf": False},
            "state_dir": str(folder),
            "profile": str(folder / "profile.yaml"),
            "intake": {"max_tokens": 256},  # tiny models indent JSON deeply
        }
        product.config.write_text(yaml.safe_dump(settings))
        try:
            for server in servers:
                product.start(server).wait_ready(START_S, lambda _status: None)
            product.start("agent").wait_ready(START_S, lambda _status: None)
            anyio.run(product.online)
            yield product
        finally:
            for service in product.services.values():
                service.stop()


async def reply_to(product: Product, image: bytes, question: str, **fields: str) -> Reply:
    """The agent's reply to one question."""
    async with product.client() as client:
        return await client.ask({"question": question, **fields}, image)


async def answer_to(product: Product, image: bytes, question: str, **fields: str) -> Answer:
    """The agent's answer to one question; a refusal fails the test."""
    reply = await reply_to(product, image, question, **fields)
    assert isinstance(reply, Answer), reply
    return reply


async def until_answered(product: Product, pin: str) -> None:
    """Waits until the tier `pin` answers."""
    image, question = scene(0, 96)
    with anyio.fail_after(RECOVERY_S):
        while isinstance(await reply_to(product, image, question.text, pin=pin), Refusal):  # noqa: ASYNC110
            await anyio.sleep(0.2)


async def until_other_requests(product: Product, tier: str, expected: Callable[[int], bool]) -> None:
    """Waits until the agent's telemetry reports that number of other clients' requests at a tier's server."""
    topic = product.topics.telemetry
    async with product.client(also=topic) as client:
        reported = None
        while reported is None or not expected(reported):
            servers = json.loads((await client.receive(topic)).payload)["servers"]
            reported = next(server["other_requests"] for server in servers if server["tier"] == tier)


@asynccontextmanager
async def endless_requests(url: str, model: str, number: int) -> AsyncIterator[None]:
    """Keeps an engine computing `number` requests of another client, which never end an answer themselves."""
    path = url.removeprefix("unix:") if url.startswith("unix:") else None
    request = {
        "model": model,
        "messages": [{"role": "user", "content": "what?"}],
        "max_tokens": 400,
        "ignore_eos": True,
    }
    connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()

    async def ask_again_and_again() -> None:
        while True:
            async with http.post("/v1/chat/completions", json=request) as response:
                assert response.status == 200, await response.text()
                await response.read()

    async with (
        aiohttp.ClientSession("http://x" if path else url, connector=connector) as http,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(number):
            tasks.start_soon(ask_again_and_again)
        yield
        tasks.cancel_scope.cancel()
