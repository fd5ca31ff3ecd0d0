"""The HTTP door with the page; modes and answers are set by the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from aiohttp import ClientResponse, web

from agent.config.page_settings import PageSettings
from agent.daemon.mode import BadMode
from agent.http.callers import Callers
from agent.intake.request import Request
from agent.messages.query import Query
from agent.page.access import PageAccess
from agent.page.commands import PageCommands
from agent.page.entry import AnswerEntry
from agent.page.files import PageFiles
from agent.page.page import Page
from agent.page.stream import EventStream
from http_rig import HttpRig, answer_to

TOKENS = {"operator": "token-of-the-operator", "camera": "token-of-the-camera-1"}


def prediction(
    latency_ms: float = 40.0, energy_j: float = 2.0, score: float = 1.0, **more: Any
) -> dict[str, Any]:
    return {"latency_ms": latency_ms, "energy_j": energy_j, "quality": 0.9, "score": score, **more}


def run(arm: str, latency_ms: float = 10.0, energy_j: float | None = 1.0, **more: Any) -> dict[str, Any]:
    energy = {} if energy_j is None else {"energy_j": energy_j}
    return {"arm": arm, "latency_ms": latency_ms, **energy, **more}


def record(*runs: dict[str, Any], chosen: int = 0, **more: Any) -> dict[str, Any]:
    """A decision record; by default the board answered in 10 ms, and the cloud would need 40 ms."""
    return {
        "arm": "local/small@64#board",
        "predictions": {
            "cloud/big@128#gpu-1": prediction(),
            "local/small@64#board": prediction(10.0, 1.0, 0.5),
        },
        "runs": list(runs) or [run("local/small@64#board")],
        "chosen": chosen,
        **more,
    }


def entry(
    question: str = "How many?", text: str = "two", *, now: float = 100.0, **changes: Any
) -> AnswerEntry:
    """An answer of the cloud; `changes` are of its record."""

    async def reply(_: object) -> None: ...

    request = Request("k", Query("q", question, client="camera", image=b"x"), reply, 0.0, 1.0)
    return AnswerEntry.of(request, answer_to(request, text), record(**changes), now=now, texts=True)


class PageRig(HttpRig):
    """The door with the page.

    Attributes:
        modes: those that were set.
        stream_times: `every_s` and `write_s` of the stream.
    """

    def __init__(self, folder: Path, *, tokens: bool = False, page: Any = True, **site: Any) -> None:
        http: dict[str, Any] = {"page": page}
        if tokens:
            (folder / "tokens").write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
            http["token_file"] = str(folder / "tokens")
        super().__init__(folder, http={**http, **site.pop("http", {})}, **site)
        self.callers = Callers(self.http, "http", open_paths=PageFiles.PATHS)
        settings = self.http.page
        assert isinstance(settings, PageSettings)
        self.page = Page(settings, "gate-3", clock=lambda: 100.0)
        access = PageAccess(settings, self.callers)
        self.modes: list[str] = []
        self.stream = EventStream(self.page, access, every_s=0.0, write_s=0.2)
        self.commands = PageCommands(self.page, access, self._set_mode, self.feedback.accept)

    def routes(self) -> list[web.RouteDef]:
        parts = (PageFiles(), self.stream, self.commands)
        return [*super().routes(), *(route for part in parts for route in part.routes())]

    async def no_readers(self) -> None:
        """Waits until nobody reads the events."""
        with anyio.fail_after(30):
            while self.page.readers:
                await anyio.lowlevel.checkpoint()

    async def _set_mode(self, mode: str) -> None:
        if mode not in ("auto", "local", "cloud"):
            raise BadMode(f"mode {mode!r} is not known")
        self.modes.append(mode)

    @asynccontextmanager
    async def events(self, token: str | None = None) -> AsyncIterator[Reader]:
        async with self.client(token) as session, session.get("/events") as response:
            yield Reader(response)


class Reader:
    """Reads the events of one response."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, Any]:
        """Returns the next message."""
        while line := await self.response.content.readline():
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))  # type: ignore[no-any-return]
        raise EOFError
