"""POST /mode and /answers/{answer}/feedback: what an operator can do on the page."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from agent.http.errors import HttpError, bad_field
from agent.page.access import PageAccess
from agent.page.page import Page
from vlm.remote_values import parse_json
from vlm.request_body import BodyReader

MAX_BYTES = 1024


class PageCommands:
    """Sets the mode, and receives feedback with the rules of an operator's.

    The page does not know the secret decision ids: it names an answer by a key, which is of
    use to operators only.

    Args:
        set_mode: sets the mode by its name.
        accept: learns from the body of an operator's feedback message.
    """

    def __init__(
        self,
        page: Page,
        access: PageAccess,
        set_mode: Callable[[str], Awaitable[None]],
        accept: Callable[[bytes], bool],
    ) -> None:
        self._page = page
        self._access = access
        self._set_mode = set_mode
        self._accept = accept
        self._bodies = BodyReader()

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [
            web.post("/mode", self._mode),
            web.post("/answers/{answer}/feedback", self._feedback),
        ]

    async def _mode(self, request: web.Request) -> web.Response:
        mode = (await self._body(request)).get("mode")
        if not isinstance(mode, str):
            raise bad_field('send {"mode": "auto"}, "local" or "cloud"', "mode")
        await self._set_mode(mode)
        return web.json_response({"mode": mode})

    async def _feedback(self, request: web.Request) -> web.Response:
        correct = (await self._body(request)).get("correct")
        if not isinstance(correct, bool):
            raise bad_field("correct must be true or false", "correct")
        entry = self._page.state.answer(request.match_info["answer"])
        if entry is None:
            raise HttpError("bad_feedback", "this answer is no longer on the page")
        body = json.dumps({"decision_id": entry.decision_id, "correct": correct}).encode()
        accepted = self._accept(body)
        entry.correct = correct
        self._page.state.answer_changed(entry.key)
        return web.json_response({"accepted": accepted})

    async def _body(self, request: web.Request) -> dict[str, Any]:
        self._access.check(request)
        body = parse_json(await self._bodies.read(request, MAX_BYTES))
        if not isinstance(body, dict):
            raise HttpError("bad_json", "send a JSON object")
        return body
