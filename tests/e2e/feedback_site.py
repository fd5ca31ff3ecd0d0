"""A real broker and agent with two scripted models, a board that is usually wrong, and clients that teach."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import yaml
from aiohttp import web
from anyio import to_thread
from PIL import Image

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.reply import Answer, reply_from_bytes
from agent.standalone.broker import broker, free_port
from product import START_S, Product
from vlm.completion import ModelCard
from vlm.timing import Timing

# Far from the floor of 97%: near it, streaks of wrong answers of the cloud raise the price of risk, and the
# share of a board that is always right wanders.
CLOUD_RIGHT = 0.995
BOARD_S = 0.02
AT_ONCE = 8


def truth(number: int) -> bool:
    """Whether lamp `number` is on."""
    return random.Random(f"lamp {number}").random() < 0.5


def scripted(model: str, number: int, right: float) -> tuple[bool, float]:
    """What a model answers about lamp `number`, and the probability of its first token."""
    draws = random.Random(f"{model} {number}")
    is_right = draws.random() < right
    sure = draws.betavariate(5, 2) if is_right else draws.betavariate(3, 2)
    return truth(number) == is_right, 0.5 + 0.49 * sure


async def _chat(model: str, right: float, latency_s: float, request: web.Request) -> web.Response:
    content = (await request.json())["messages"][-1]["content"]
    if isinstance(content, str):
        return web.json_response({"error": {"code": "invalid_request", "message": "no image"}}, status=400)
    text = next(part["text"] for part in content if part["type"] == "text")
    number = int(next(word for word in text.split() if word.isdigit()))
    await anyio.sleep(latency_s)
    yes, p = scripted(model, number, right)
    answer, other = ("yes", "no") if yes else ("no", "yes")
    top = [{"token": answer, "logprob": math.log(p)}, {"token": other, "logprob": math.log(1 - p)}]
    logprobs = {"content": [{**top[0], "top_logprobs": top}]}
    message = {"role": "assistant", "content": answer}
    # The models report their own time: that of the whole call depends on how busy this machine is.
    timing = {"Server-Timing": Timing(queue_ms=0.0, compute_ms=latency_s * 1000).to_header()}
    return web.json_response({"choices": [{"message": message, "logprobs": logprobs}]}, headers=timing)


@asynccontextmanager
async def _model_server(
    model: str, right: float, latency_s: float, *, socket: Path | None = None, port: int = 0
) -> AsyncIterator[None]:
    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [ModelCard(model, resolutions=(64,)).to_json()]})

    app = web.Application()
    chat = partial(_chat, model, right, latency_s)
    app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
    runner = web.AppRunner(app)
    await runner.setup()
    await (web.UnixSite(runner, str(socket)) if socket else web.TCPSite(runner, "127.0.0.1", port)).start()
    yield
    await runner.cleanup()


@dataclass
class Told:
    """An answer that a client received about lamp `number`."""

    number: int
    client: str
    answer: Answer

    @property
    def correct(self) -> bool:
        return (self.answer.answer == "yes") == truth(self.number)

    @property
    def local(self) -> bool:
        return self.answer.tier == "local"


@dataclass
class FeedbackSite:
    """The running site, as its clients see it.

    Attributes:
        events: what the agent published on its topic of events.
        records: the decision records, by query id.
        telemetry: the latest message.
        next_telemetry: set when the next one arrives.
    """

    product: Product
    connection: MqttConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    telemetry: dict[str, Any] = field(default_factory=dict)
    next_telemetry: anyio.Event = field(default_factory=anyio.Event)
    _asked: int = 0
    _waiting: dict[str, anyio.Event] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    _recorded: dict[str, anyio.Event] = field(default_factory=dict)

    async def receive(self) -> None:
        """Sorts the received messages, until cancelled."""
        topics = self.product.topics
        async for message in self.connection.messages():
            message.ack()
            if message.topic == topics.event:
                self.events.append(json.loads(message.payload))
            elif message.topic == topics.decision:
                record = json.loads(message.payload)
                self.records[record["query_id"]] = record
                self._recorded.setdefault(record["query_id"], anyio.Event()).set()
            elif message.topic == topics.telemetry:
                self.telemetry = json.loads(message.payload)
                self.next_telemetry.set()
            elif json.loads(message.payload).get("id") in self._waiting:  # others ask too
                reply = reply_from_bytes(message.payload)
                assert isinstance(reply, Answer), reply
                self._answers[reply.id] = reply
                self._waiting[reply.id].set()

    async def ask(
        self,
        count: int,
        *,
        clients: Iterable[str] = ("camera",),
        then: Callable[[Told], Any] | None = None,
        recorded: bool = False,
    ) -> list[Told]:
        """Asks `count` questions in turn for the clients; calls and awaits `then` with each answer.

        Args:
            recorded: wait for the decision record too, before `then`.
        """
        told: list[Told] = []
        names = list(clients)
        numbers = iter(range(self._asked, self._asked + count))
        self._asked += count

        async def one_after_the_other() -> None:
            for number in numbers:
                answered = await self._ask(number, names[number % len(names)], recorded)
                told.append(answered)
                if then is not None:
                    await then(answered)

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(one_after_the_other)
        return told

    async def _ask(self, number: int, client: str, recorded: bool) -> Told:
        name, image = f"q{number}", io.BytesIO()
        draws = random.Random(f"image {number}")
        Image.frombytes("RGB", (48, 48), draws.randbytes(48 * 48 * 3)).save(image, "JPEG")
        fields = {"id": name, "question": f"Is lamp {number} on?", "answer": "yes_no", "client": client}
        self._waiting[name] = anyio.Event()
        await self.connection.publish(
            self.product.topics.query,
            image.getvalue(),
            qos=1,
            response_topic=self.product.topics.result(client),
            user=fields,
        )
        with anyio.fail_after(60):
            await self._waiting[name].wait()
            if recorded:
                await self._recorded.setdefault(name, anyio.Event()).wait()
        return Told(number, client, self._answers.pop(name))

    async def restart_agent(self) -> None:
        """Stops the agent, which saves what it learned, and starts it again."""
        await to_thread.run_sync(self.product.services["agent"].stop)
        service = self.product.start("agent")
        await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
        await self.product.online()

    async def feedback(self, correct: bool, *, client: str | None = None, **names: str) -> None:
        """Publishes feedback on a client's topic, or on the operator's for None."""
        topic = self.product.topics.feedback + ("" if client is None else f"/{client}")
        await self.connection.publish(topic, json.dumps({**names, "correct": correct}).encode(), qos=1)


@asynccontextmanager
async def feedback_site(
    folder: Path, board_right: float, cloud_s: float, **site: Any
) -> AsyncIterator[FeedbackSite]:
    """Runs the site until left.

    Args:
        board_right: share of right answers of the board.
        cloud_s: time that the cloud takes.
        site: more settings for the site file.
    """
    with broker(folder) as (_, port):
        product = Product(folder, port, free_port())
        product.configure()
        content = yaml.safe_load(product.config.read_text())
        content["peers"] = [{"id": "peer", "url": f"http://127.0.0.1:{product.peer_port}"}]
        content["discovery"] = {"zeroconf": False, "mqtt": False}
        content["probing"] = {"sight": False, "upload_bytes": 0}
        content |= site
        product.config.write_text(yaml.safe_dump(content))
        topics = product.topics
        async with (
            _model_server("board", board_right, BOARD_S, socket=folder / "vlm.sock"),
            _model_server("cloud", CLOUD_RIGHT, cloud_s, port=product.peer_port),
        ):
            service = product.start("agent")
            try:
                await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
                await product.online()
                connection = MqttConnection(
                    MqttOptions("127.0.0.1", port, client_id="clients"),
                    subscriptions=(topics.result("+"), topics.decision, topics.event, topics.telemetry),
                )
                async with connection, anyio.create_task_group() as tasks:
                    await connection.connected.wait()
                    running = FeedbackSite(product, connection)
                    tasks.start_soon(running.receive)
                    yield running
                    tasks.cancel_scope.cancel()
            finally:
                await to_thread.run_sync(product.services["agent"].stop)


def share(told: Iterable[Told]) -> float:
    """Which share of the answers the board gave."""
    answers = list(told)
    return sum(answer.local for answer in answers) / len(answers)
