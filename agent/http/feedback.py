"""POST /feedback: whether an earlier answer was correct, with the rules of feedback over MQTT."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from agent.messages.feedback import MAX_BYTES
from vlm.request_body import BodyReader


class FeedbackRoute:
    """Receives feedback of a client on answers to its own questions.

    Args:
        accept: learns from the body of a feedback message, given the client that sends it.
        client_of: returns the name of the client that sends a request.
    """

    def __init__(self, accept: Callable[[bytes, str], bool], client_of: Callable[[web.Request], str]) -> None:
        self._accept = accept
        self._client_of = client_of
        self._bodies = BodyReader()

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [web.post("/feedback", self._feedback)]

    async def _feedback(self, request: web.Request) -> web.Response:
        body = await self._bodies.read(request, MAX_BYTES)
        return web.json_response({"accepted": self._accept(body, self._client_of(request))})
