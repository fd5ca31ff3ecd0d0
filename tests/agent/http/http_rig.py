"""The HTTP door on a unix socket, with real intake, queue, feedback and limits; the answers are scripted."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from aiohttp import ClientSession, UnixConnector, web
from PIL import Image

from agent.answering.feedback import Feedback
from agent.config.http_settings import HttpSettings
from agent.config.settings import Settings
from agent.http.callers import Callers
from agent.http.chat import Chat
from agent.http.feedback import FeedbackRoute
from agent.http.health import Health
from agent.http.http_door import serve
from agent.http.models import Models
from agent.intake.intake import Intake
from agent.intake.queue import RequestQueue
from agent.intake.request import Request
from agent.messages.reply import Answer, Refusal, Reply
from controller import Arm
from inarvl.door import Door

ARMS = (Arm("local", "small", 64, "board"), Arm("cloud", "big", 128, "gpu-1"))


def jpeg_url(colour: str = "red") -> str:
    """A data URL of a small JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def picture(colour: str = "red") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": jpeg_url(colour)}}


def chat(*content: Any, **fields: Any) -> dict[str, Any]:
    """A request with one user message."""
    parts = list(content) or [{"type": "text", "text": "What?"}, picture()]
    return {"model": "inarvl-auto", "messages": [{"role": "user", "content": parts}], **fields}


def answer_to(request: Request, text: str = "two", **changes: Any) -> Answer:
    given = {"value": None, **changes}
    return Answer(
        request.query.id,
        text,
        "cloud",
        "big",
        0.75,
        12.5,
        1.5,
        "measured",
        "d" * 32,
        "cloud: better",
        **given,
    )


class HttpRig:
    """The door, and what a test needs of it.

    Attributes:
        asked: the requests that the worker got, in their order.
        replies: what was counted as a reply, in their order.
        answer: makes the reply to a request.
        working: until it is set, requests wait in the queue.
        problem: why the agent is not ready.
        door: counts invalid requests and faults.
    """

    def __init__(self, folder: Path, *, max_waiting: int = 64, **site: Any) -> None:
        self.asked: list[Request] = []
        self.replies: list[Reply] = []
        self.answer: Callable[[Request], Reply] = answer_to
        self.working = anyio.Event()
        self.problem: str | None = None
        self.door = Door("requests over HTTP")
        self.learned: list[tuple[str, bool]] = []
        self.feedback = Feedback(self._learn)
        self.queue = RequestQueue(max_waiting, workers=1)
        http = site.pop("http", {})
        self.settings = Settings.model_validate({"device": "d", **site})
        self.http = HttpSettings.model_validate({"listen": f"unix:{folder}/http.sock", **http})
        self.callers = Callers(self.http, "http")
        self.intake = Intake(self.queue, self.settings)
        self.intake.replied = self.replies.append
        self.chat = Chat(self.intake, self.callers.name_of)

    def routes(self) -> list[web.RouteDef]:
        parts = (
            self.chat,
            Models(lambda: ARMS),
            FeedbackRoute(self.feedback.accept, self.callers.name_of),
            Health(lambda: self.problem, lambda: b"inarvl_questions_total 1.0\n"),
        )
        return [route for part in parts for route in part.routes()]

    @asynccontextmanager
    async def serving(self, *, working: bool = True) -> AsyncIterator[HttpRig]:
        if working:
            self.working.set()
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, self.http.listen, self.callers.check, self.door, self.routes())
            tasks.start_soon(self._work)
            yield self
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def client(self, token: str | None = None) -> AsyncIterator[ClientSession]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if self.http.listen.startswith("unix:"):
            connector = UnixConnector(self.http.listen.removeprefix("unix:"))
            session = ClientSession("http://localhost", connector=connector, headers=headers)
        else:
            session = ClientSession(f"http://{self.http.listen}", headers=headers)
        async with session:
            yield session

    async def post(
        self, body: Any, path: str = "/v1/chat/completions", *, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Sends JSON, or bytes as they are; returns status, body and headers of the response."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with (
            self.client(token) as session,
            session.post(path, headers=headers, **sent) as response,
        ):
            return response.status, await response.json(), dict(response.headers)

    async def error(self, body: Any, **headers: str) -> tuple[int, str, str | None, str]:
        """Returns status, code, param and message of the error to a chat."""
        status, content, _ = await self.post(body, **headers)
        error = content["error"]
        return status, error["code"], error["param"], error["message"]

    async def _work(self) -> None:
        await self.working.wait()
        while True:
            request = await self.queue.get()
            assert request is not None
            self.asked.append(request)
            reply = self.answer(request)
            if isinstance(reply, Answer):
                self.feedback.remember(reply.decision_id, "policy-1", query=request.query)
            await request.reply(reply)
            self.queue.done(0.01, request)

    def _learn(self, decision: str, correct: bool, _weight: float) -> bool:
        self.learned.append((decision, correct))
        return True


def refusal(code: str) -> Callable[[Request], Reply]:
    return lambda request: Refusal(request.query.id, code, "why, and what to do")
