"""The agent is ready over HTTP when the broker is connected and a model server is healthy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, UnixConnector

from agent.answering.feedback import Feedback
from agent.config.http_settings import HttpSettings
from agent.config.settings import Settings
from agent.daemon.http import HttpFailed, HttpService
from agent.intake.intake import Intake
from agent.intake.queue import RequestQueue
from agent.page.page import Page
from inarvl.door import Door

pytestmark = pytest.mark.anyio


class Parts:
    """Replaces the connection to the broker and the servers."""

    def __init__(self) -> None:
        self.mqtt: Any = SimpleNamespace(connected=asyncio.Event(), problem=None)
        self.healthy: dict[str, list[str]] = {"local": [], "cloud": []}

    def service(self, settings: HttpSettings | None) -> HttpService:
        servers: Any = SimpleNamespace(
            registry=lambda tier: SimpleNamespace(healthy=lambda: self.healthy[tier])
        )
        arms: Any = SimpleNamespace(available=tuple)
        intake = Intake(RequestQueue(1, 1), Settings.model_validate({"device": "d"}))
        feedback = Feedback(lambda *_: True)
        return HttpService(
            settings,
            intake=intake,
            feedback=feedback,
            arms=arms,
            mqtt=self.mqtt,
            servers=servers,
            metrics=lambda: b"",
            door=Door("requests over HTTP"),
            page=Page(settings and settings.page, "d"),
            set_mode=anyio.sleep,
        )


async def test_the_agent_is_ready_with_a_broker_and_a_server(tmp_path: Path) -> None:
    parts = Parts()
    service = parts.service(HttpSettings(listen=f"unix:{tmp_path}/http.sock"))
    async with anyio.create_task_group() as tasks:
        await tasks.start(service.run)
        async with ClientSession(
            "http://localhost", connector=UnixConnector(f"{tmp_path}/http.sock")
        ) as session:

            async def ready() -> tuple[int, str]:
                async with session.get("/readyz") as response:
                    return response.status, await response.text()

            status, text = await ready()
            assert (status, "the broker is not connected yet" in text) == (503, True)
            parts.mqtt.problem = "127.0.0.1:1883: connection refused"
            assert "connection refused" in (await ready())[1]
            parts.mqtt.connected.set()
            status, text = await ready()
            assert (status, "no model server is healthy" in text) == (503, True)
            parts.healthy["cloud"] = ["gpu-1"]
            assert await ready() == (200, '{"status": "ready"}')
        tasks.cancel_scope.cancel()
    assert not (tmp_path / "http.sock").exists()


async def test_without_the_section_nothing_is_served() -> None:
    service = Parts().service(None)
    service.stop()
    async with anyio.create_task_group() as tasks:
        await tasks.start(service.run)


async def test_tokens_or_an_address_that_cannot_be_used_are_named_with_the_section(tmp_path: Path) -> None:
    with pytest.raises(HttpFailed, match=r"the tokens cannot be read .* \(http in the site file\)"):
        Parts().service(HttpSettings(listen="0.0.0.0:80", token_file=tmp_path / "none"))
    service = Parts().service(HttpSettings(listen=f"unix:{tmp_path}/none/http.sock"))
    with pytest.raises(HttpFailed, match=r"cannot create the socket .* \(http in the site file\)"):
        await service.run()
