"""A real Home Assistant as a child process, in the environment that scripts/engine made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import yaml
from anyio import to_thread

from agent.standalone.broker import free_port
from engine_process import EngineProcess, python_of

START_S, CHANGE_S = 300.0, 120.0
USER = {"name": "Tester", "username": "tester", "password": "a test", "language": "en"}


@dataclass
class HomeAssistant:
    """A running Home Assistant, through its REST API.

    Attributes:
        folder: its configuration.
        process: it.
        url: of its API.
        api: a session with the token of its only user.
    """

    folder: Path
    process: EngineProcess
    url: str
    api: aiohttp.ClientSession

    async def connect_to(self, broker_port: int) -> None:
        """Adds the MQTT integration, as a person does in the settings."""
        flow = await self._post("/api/config/config_entries/flow", {"handler": "mqtt"})
        address = {"broker": "127.0.0.1", "port": broker_port}
        result = await self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", address)
        assert result["type"] == "create_entry", result

    async def states(self) -> dict[str, dict[str, Any]]:
        """Returns the state and the attributes of every entity of MQTT, by entity id."""
        async with self.api.get(f"{self.url}/api/states") as response:
            return {
                state["entity_id"]: state
                for state in await response.json()
                if state["entity_id"].partition(".")[2].startswith("e2e_")
            }

    async def until(self, done: Callable[[dict[str, dict[str, Any]]], Any]) -> dict[str, dict[str, Any]]:
        """Waits until the states are as `done` wants them, and returns them."""
        states: dict[str, dict[str, Any]] = {}
        with anyio.move_on_after(CHANGE_S):
            while not done(states := await self.states()):  # noqa: ASYNC110
                await anyio.sleep(0.2)
            return states
        raise AssertionError(
            f"still {[(name, state['state']) for name, state in states.items()]}\n{self.log()}"
        )

    async def select(self, entity: str, option: str) -> None:
        """Chooses an option, as a person does."""
        await self._post("/api/services/select/select_option", {"entity_id": entity, "option": option})

    async def picture(self, entity: str) -> bytes:
        """Returns the picture of an image entity."""
        async with self.api.get(f"{self.url}/api/image_proxy/{entity}") as response:
            assert response.status == 200, await response.text()
            return await response.read()

    def log(self) -> str:
        """Returns the warnings and errors that it has logged."""
        lines = self.process.log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if " WARNING " in line or " ERROR " in line)

    async def _post(self, path: str, content: dict[str, Any]) -> Any:
        async with self.api.post(f"{self.url}{path}", json=content) as response:
            assert response.status in (200, 201), await response.text()
            return await response.json()


@asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[HomeAssistant]:
    """Runs Home Assistant with one user, until left; skips the test if it is not installed."""
    python = python_of("homeassistant")
    folder.mkdir()  # noqa: ASYNC240
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "configuration.yaml").write_text(
        yaml.safe_dump({"http": {"server_host": "127.0.0.1", "server_port": port}})
    )
    command = [str(python), "-m", "homeassistant", "--config", str(folder), "--skip-pip"]
    process = EngineProcess(command, url, folder / "output.log", START_S)
    process.start()
    try:
        async with aiohttp.ClientSession() as session:
            token = await _onboard(session, url, process)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as api:
            yield HomeAssistant(folder, process, url, api)
    finally:
        await to_thread.run_sync(process.stop)


async def _onboard(session: aiohttp.ClientSession, url: str, process: EngineProcess) -> str:
    """Creates the user, as the first visitor does, and returns an access token."""
    with anyio.fail_after(START_S):
        while True:
            assert process.running, process.log.read_text()[-3000:]
            try:
                async with session.get(f"{url}/api/onboarding") as response:
                    if response.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            await anyio.sleep(0.3)
    client = {"client_id": f"{url}/"}
    async with session.post(f"{url}/api/onboarding/users", json={**USER, **client}) as response:
        assert response.status == 200, await response.text()
        code = (await response.json())["auth_code"]
    form = {"grant_type": "authorization_code", "code": code, **client}
    async with session.post(f"{url}/auth/token", data=form) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["access_token"])
