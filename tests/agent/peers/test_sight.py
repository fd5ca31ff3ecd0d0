"""A peer's model that answers the same to a red and to a blue picture, or gets no images, is not used."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from agent.config.settings import Settings
from agent.peers.access import Access
from agent.peers.directory import ServerDirectory
from agent.peers.registry import CheckSchedule, PeerRegistry
from agent.profile.loading import load_profile
from agent.standalone.broker import free_port
from cloud.peer import PeerRecord

pytestmark = pytest.mark.anyio
TESTED = CheckSchedule(check_s=0.05, first_retry_s=0.02, max_retry_s=0.1, sight=True)


def colour(request: dict[str, Any]) -> str:
    """Sees the colour in the middle of the picture."""
    (part, _) = request["messages"][-1]["content"]
    picture = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    with Image.open(io.BytesIO(picture)) as image:
        red, _, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))  # type: ignore[misc]
    return "Red." if red > blue else "Blue."


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


@dataclass
class Fake:
    """A server with several models; each answers with a text, a refusal, or what it sees (None).

    Attributes:
        asked: the models that were asked, in order.
    """

    models: dict[str, str | tuple[int, str] | None]
    resolutions: tuple[int, ...] = ()
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    pings: int = 0

    async def chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body["model"])
        if self.hangs:
            await anyio.sleep_forever()
        answer = self.models[body["model"]]
        if isinstance(answer, tuple):
            return refusal(*answer)
        text = colour(body) if answer is None else answer
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": text}}]})

    async def list_models(self, _request: web.Request) -> web.Response:
        self.pings += 1
        extension = {"inarvl": {"resolutions": list(self.resolutions)}} if self.resolutions else {}
        return web.json_response({"data": [{"id": name, **extension} for name in self.models]})

    @asynccontextmanager
    async def at(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", self.chat), web.get("/v1/models", self.list_models)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()


@dataclass
class Found:
    """A registry with one peer, and the states of the peer in their order."""

    registry: PeerRegistry
    states: list[str]
    answers: list[str]

    @property
    def models(self) -> list[str]:
        (peer,) = self.registry.known()
        return [card.id for card in peer.cards]


@asynccontextmanager
async def registry(port: int, schedule: CheckSchedule = TESTED) -> AsyncIterator[Found]:
    states, answers = list[str](), list[str]()
    peers = PeerRegistry(
        rng=np.random.default_rng(0),
        schedule=schedule,
        changed=lambda _id, state: states.append(state),
        tested=lambda _id, model, _completion: answers.append(model),
    )
    peers.offer(PeerRecord("p", f"http://127.0.0.1:{port}"), source="test", access=Access())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peers.run)
        yield Found(peers, states, answers)
        tasks.cancel_scope.cancel()


async def until(condition: Any) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 # the condition has no event
            await anyio.sleep(0.01)


async def test_only_the_models_that_see_are_used(caplog: pytest.LogCaptureFixture) -> None:
    server, port = (
        Fake({"sees": None, "invents": "It is green.", "also sees": None, "last": None}),
        free_port(),
    )
    with caplog.at_level(logging.WARNING):
        async with server.at(port), registry(port) as found:
            await until(lambda: server.asked.count("last") == 2)
            assert found.models == ["sees", "also sees", "last"]
            assert found.states == ["found", "healthy", "blind"]
            assert found.answers == server.asked
    (line,) = [line for line in caplog.messages if "does not see" in line]
    assert "invents" in line
    assert "It is green." in line


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Invalid content type. image_url is only supported by certain models."),
        (400, "qwen3-8b is not a multimodal model"),
        (400, "Image input is not enabled for this model"),
        (404, "No endpoints found that support image input"),
        (400, "messages[0].content must be a string"),
        (422, "messages[0]: unknown variant `image_url`, expected `text`"),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "This model does not support images"),
        (400, "llama cannot accept images"),
        (400, "this model is missing data required for image input"),
    ],
)
async def test_a_model_whose_server_refuses_images_is_not_used(status: int, message: str) -> None:
    server, port = Fake({"text": (status, message), "last": None}), free_port()
    async with server.at(port), registry(port) as found:
        await until(lambda: server.asked.count("last") == 2)
        assert found.models == ["last"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "the model does not exist"),
        (429, "too many images, not accepted"),
        (500, "cannot decode the image: not enough memory"),
        (503, "the vision tower is not loaded"),
        (400, "the image is too small"),
    ],
)
async def test_a_model_that_fails_for_another_reason_is_kept(status: int, message: str) -> None:
    server, port = Fake({"m": (status, message), "last": None}), free_port()
    async with server.at(port), registry(port) as found:
        await until(lambda: server.asked.count("last") == 2)
        assert found.models == ["m", "last"]
        assert "blind" not in found.states


async def test_a_server_that_refuses_the_agent_rests_and_its_models_are_kept() -> None:
    server, port = Fake({"m": (401, "image input is not allowed without a key")}), free_port()
    async with server.at(port), registry(port) as found:
        await until(lambda: "refused" in found.states)
        assert found.models == ["m"]
        assert "blind" not in found.states


async def test_a_model_is_asked_once_and_stays_removed_when_its_server_returns() -> None:
    server, port = Fake({"blind": "green", "sees": None}), free_port()
    async with registry(port) as found:
        async with server.at(port):
            await until(lambda: server.asked.count("sees") == 2)
        await until(lambda: "unhealthy" in found.states)
        async with server.at(port):
            await until(lambda: found.states[-1] == "healthy")
            assert found.models == ["sees"]
            before = server.pings
            await until(lambda: server.pings > before + 3)
    assert server.asked == ["blind"] * 2 + ["sees"] * 2


async def test_the_test_does_not_delay_the_checks_and_ends_with_the_peer() -> None:
    server, port = Fake({"m": None}, hangs=True), free_port()
    async with server.at(port), registry(port) as found:
        await until(lambda: bool(server.asked))
        before = server.pings
        await until(lambda: server.pings > before + 3)
        assert found.models == ["m"]
        with anyio.fail_after(5):
            found.registry.withdraw("p", source="test")
            await anyio.sleep(0.1)
        assert found.states == ["found", "healthy", "gone"]


async def test_models_of_inarvls_own_server_are_not_asked() -> None:
    server, port = Fake({"m": "green"}, resolutions=(64,)), free_port()
    async with server.at(port), registry(port) as found:
        await until(lambda: server.pings > 5)
        assert found.models == ["m"]
    assert server.asked == []


@pytest.mark.parametrize(
    ("probing", "tier", "tested"),
    [
        ({}, "cloud", True),
        ({}, "local", False),
        ({"metered": True}, "cloud", False),
        ({"sight": False}, "cloud", False),
    ],
)
async def test_peers_are_tested_unless_the_link_is_metered_or_it_is_switched_off(
    probing: dict[str, bool], tier: Any, tested: bool
) -> None:
    server, port = Fake({"m": "green"}), free_port()
    settings = Settings.model_validate(
        {"device": "d", "local": None, "probing": probing, "discovery": {"zeroconf": False}}
    )
    states: list[str] = []
    servers = ServerDirectory(
        settings,
        load_profile("generic-x86"),
        rng=np.random.default_rng(0),
        changed=lambda _id, state: states.append(state),
    )
    servers.registry(tier).offer(PeerRecord("p", f"http://127.0.0.1:{port}"), source="test", access=Access())
    async with server.at(port), anyio.create_task_group() as tasks:
        tasks.start_soon(servers.run)
        await until(lambda: "healthy" in states)
        if tested:
            await until(lambda: "blind" in states)
        else:
            await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()
    assert bool(server.asked) == tested
