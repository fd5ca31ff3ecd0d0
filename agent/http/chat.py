"""POST /v1/chat/completions: queues a query and waits for its reply.

1. The query goes through the same intake as those over MQTT, but not through the spool: its caller waits for
   the response, and asks again if the agent stops.
2. A caller that hangs up withdraws its query, if no worker has it yet.
3. A stream begins when the answer is known, so every error has a status of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from agent.http.chat_reply import ChatReply
from agent.http.chat_request import ChatRequest
from agent.http.errors import HttpError, refused
from agent.http.placeholder import WARNING
from agent.http.waiting_bytes import WaitingBytes
from agent.intake.direct_door import DirectDoor
from agent.intake.intake import Intake
from agent.messages.query import Query
from agent.messages.reply import Answer
from inarvl.errors import InarvlError
from vlm.request_body import BodyReader

EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


class Chat:
    """Answers chat completions.

    Args:
        client_of: returns the name of the client that sends a request.
    """

    def __init__(
        self,
        intake: Intake,
        client_of: Callable[[web.Request], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._intake = intake
        self._direct = DirectDoor(intake, clock=clock)
        self._client_of = client_of
        self._clock = clock
        self._waiting = WaitingBytes()
        self._bodies = BodyReader()
        self._stopping = False

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [web.post("/v1/chat/completions", self._chat)]

    def stop(self) -> None:
        """Refuses new requests; those that wait get their answers."""
        self._stopping = True

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        arrived_at = self._clock()
        if self._stopping:
            raise HttpError("not_ready", "the agent stops: ask again later", retry_after_s=1.0)
        client, most = self._client_of(request), self._intake.max_payload_bytes
        length = request.content_length
        if length is not None and length > most:
            raise web.HTTPRequestEntityTooLarge(most, length)
        with self._waiting.of(client, most if length is None else length):
            body = await self._bodies.read(request, most)
            asked = ChatRequest.from_bytes(
                body, request.headers, client=client, max_images=self._intake.max_images
            )
            del body
            answer = await self._answer(asked.query, arrived_at)
        if not asked.has_image:
            answer = replace(answer, warning=answer.warning or WARNING)
        reply = ChatReply(answer, asked.query.form)
        if not asked.in_stream:
            return web.json_response(reply.completion(), headers=reply.headers)
        response = web.StreamResponse(headers={**EVENT_STREAM, **reply.headers})
        await response.prepare(request)
        for event in reply.events():
            await response.write(event)
        await response.write_eof()
        return response

    async def _answer(self, query: Query, arrived_at: float) -> Answer:
        """Returns the answer to a query.

        Raises:
            HttpError: it was refused.
        """
        try:
            reply = await self._direct.ask(query, verified=True, sender="http", arrived_at=arrived_at)
        except InarvlError as error:
            retry_after_s = getattr(error, "retry_after_s", self._intake.wait_s)
            raise HttpError(error.code, str(error), retry_after_s=retry_after_s) from None
        if not isinstance(reply, Answer):
            raise refused(reply, self._intake.wait_s)
        return reply
