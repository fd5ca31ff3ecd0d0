"""Connects the HTTP door with the parts of the agent."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from aiohttp import web
from anyio.abc import TaskStatus

from agent.answering.arms import Arms
from agent.answering.feedback import Feedback
from agent.config.http_settings import HttpSettings
from agent.http.callers import Callers
from agent.http.chat import Chat
from agent.http.feedback import FeedbackRoute
from agent.http.health import Health
from agent.http.http_door import serve
from agent.http.models import Models
from agent.intake.intake import Intake
from agent.messages.mqtt_connection import MqttConnection
from agent.page.files import PageFiles
from agent.page.page import Page
from agent.page.routes import PageRoutes
from agent.peers.directory import ServerDirectory
from controller import Tier
from inarvl.door import Door
from inarvl.errors import InarvlError
from inarvl.secret_file import SecretUnavailable
from vlm.bearer_tokens import BadTokenFile
from vlm.errors import ListenError
from vlm.sockets import is_exposed

log = logging.getLogger(__name__)

TIERS: tuple[Tier, ...] = ("local", "cloud")


class _Part(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


class HttpFailed(InarvlError):
    """The agent cannot serve HTTP as the site file says."""

    code = "http_failed"


class HttpService:
    """The HTTP door of one agent; without the section `http` it serves nothing.

    Raises:
        HttpFailed: the tokens cannot be read.
    """

    def __init__(
        self,
        settings: HttpSettings | None,
        *,
        intake: Intake,
        feedback: Feedback,
        arms: Arms,
        mqtt: MqttConnection,
        servers: ServerDirectory,
        metrics: Callable[[], bytes],
        door: Door,
        page: Page,
        set_mode: Callable[[str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._mqtt = mqtt
        self._servers = servers
        self._door = door
        if settings is None:
            return
        try:
            open_paths = PageFiles.PATHS if page.settings is not None else ()
            self._callers = Callers(settings, "http", open_paths=open_paths)
        except (BadTokenFile, SecretUnavailable) as error:
            raise HttpFailed(f"{error} (http in the site file)") from None
        self._chat = Chat(intake, self._callers.name_of)
        self._parts: tuple[_Part, ...] = (
            self._chat,
            Models(arms.available),
            FeedbackRoute(feedback.accept, self._callers.name_of),
            Health(self._problem, metrics),
        )
        self._page = None
        if page.settings is not None:
            self._page = PageRoutes(page, self._callers, set_mode, feedback.accept)
            self._parts = (*self._parts, self._page)

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of all parts."""
        return [route for part in self._parts for route in part.routes()]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled; reports that it has started when it accepts connections.

        Raises:
            HttpFailed: the address cannot be used.
        """
        if self._settings is None:
            task_status.started()
            return
        if is_exposed(self._settings.listen):
            log.warning(
                "questions, images and tokens reach %s unencrypted (http in the site file)",
                self._settings.listen,
            )
        listen, check = self._settings.listen, self._callers.check
        try:
            await serve(listen, check, self._door, self.routes(), task_status=task_status)
        except ListenError as error:
            raise HttpFailed(f"{error} (http in the site file)") from None

    def stop(self) -> None:
        """Refuses new questions; those that wait get their answers."""
        if self._settings is not None:
            self._chat.stop()
            if self._page is not None:
                self._page.stop()

    def _problem(self) -> str | None:
        """Returns why the agent is not ready; None if the broker is connected and a server is healthy."""
        if not self._mqtt.connected.is_set():
            return self._mqtt.problem or "the broker is not connected yet"
        if not any(self._servers.registry(tier).healthy() for tier in TIERS):
            return "no model server is healthy: `inarvl doctor` says why"
        return None
