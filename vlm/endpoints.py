"""The HTTP endpoints of a model server."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable

import anyio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vlm import server_responses
from vlm.access_check import AccessCheck
from vlm.connections import Connections
from vlm.errors import GenerationFailed, InvalidRequest, ServerNotReady, VlmBusy, VlmError
from vlm.metrics import Metrics
from vlm.model import Answer
from vlm.request_body import TIME_S, BodyReader
from vlm.runtime import Runtime
from vlm.schema import ChatRequest
from vlm.timing import DEADLINE_HEADER, Timing
from vlm.worker import TimedResult

log = logging.getLogger(__name__)

MAX_PROBE_BYTES = 8 * 2**20


class Endpoints:
    """Handlers of all routes, for one runtime.

    Args:
        access: decides which requests are answered.

    Attributes:
        connections: limits the server's connections, if it listens with `BoundedSite`.
    """

    def __init__(self, runtime: Runtime, access: AccessCheck) -> None:
        self.connections = Connections()
        self._access = access
        self._bodies = BodyReader()
        self._runtime = runtime
        self._metrics = Metrics(lambda: runtime.queue_length)

    def app(self) -> web.Application:
        """Returns the application; needs handler_cancellation, so that a disconnect stops the request."""
        app = web.Application(
            middlewares=[self.connections.middleware, _openai_errors, self._access.middleware]
        )
        app.add_routes(
            [
                web.post("/v1/chat/completions", self.chat),
                web.get("/v1/models", self.models),
                web.get("/v1/models/{id:.+}", self.model),
                web.get("/healthz", self.health),
                web.get("/readyz", self.ready),
                web.get("/metrics", self.metrics),
                web.post("/probe", self.probe),
            ]
        )
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        model: str | None = None
        outcome = "internal"
        try:
            deadline_ms = _deadline_ms(request)
            chat_request = ChatRequest.from_bytes(await self._bodies.read(request))
            model = self._runtime.card(chat_request.model).id
            respond = self._respond_in_stream if chat_request.stream else self._respond
            response = await respond(request, chat_request, model, deadline_ms)
            outcome = "ok"
            return response
        except VlmError as error:
            outcome = error.code
            raise
        except web.HTTPRequestEntityTooLarge:
            outcome = "request_too_large"
            raise
        except (asyncio.CancelledError, ConnectionError):
            outcome = "hung_up"
            raise
        finally:
            self._metrics.count(model, outcome)

    async def models(self, _request: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response({"object": "list", "data": [card.to_json() for card in self._runtime.cards]})

    async def model(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}; an id may contain slashes."""
        return web.json_response(self._runtime.card(request.match_info["id"]).to_json())

    async def health(self, _request: web.Request) -> web.Response:
        """GET /healthz: the process is alive."""
        return web.json_response({"status": "ok"}, headers={"Server-Timing": Timing(0, 0).to_header()})

    async def ready(self, _request: web.Request) -> web.Response:
        """GET /readyz: every model is loaded and warmed up."""
        reason = self._runtime.not_ready_reason
        if reason is not None:
            raise ServerNotReady(reason)
        return web.json_response({"status": "ready"})

    async def metrics(self, _request: web.Request) -> web.Response:
        """GET /metrics."""
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def probe(self, request: web.Request) -> web.Response:
        """POST /probe: receives and discards the body, to measure the uplink."""
        received = 0
        with anyio.move_on_after(TIME_S):
            async for chunk in request.content.iter_any():
                received += len(chunk)
                if received > MAX_PROBE_BYTES:
                    raise web.HTTPRequestEntityTooLarge(MAX_PROBE_BYTES, received)
        return web.json_response(
            {"received_bytes": received}, headers={"Server-Timing": Timing(0, 0).to_header()}
        )

    async def _respond(
        self, _request: web.Request, chat_request: ChatRequest, model: str, deadline_ms: float | None
    ) -> web.StreamResponse:
        timed = await self._runtime.answer(chat_request, deadline_ms=deadline_ms)
        self._measure(model, timed)
        body = server_responses.completion(*_id_and_time(), model, timed.result)
        timing = Timing(timed.queue_ms, timed.compute_ms)
        return web.json_response(body, headers={"Server-Timing": timing.to_header()})

    async def _respond_in_stream(
        self, request: web.Request, chat_request: ChatRequest, model: str, deadline_ms: float | None
    ) -> web.StreamResponse:
        if chat_request.top_logprobs is not None:
            raise InvalidRequest(
                "logprobs and stream: true cannot be combined; request one of them", "no_stream"
            )
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def queue_piece(piece: str) -> None:  # on the worker's thread
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        answering = asyncio.ensure_future(
            self._runtime.answer(chat_request, deadline_ms=deadline_ms, on_text=queue_piece)
        )
        answering.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            piece = await pieces.get()
            if piece is None:
                await answering  # an error before the first piece is an ordinary error response
            fields = (*_id_and_time(), model)
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
            )
            await response.prepare(request)
            while piece is not None:
                await _event(response, server_responses.chunk(*fields, piece))
                piece = await pieces.get()
            try:
                timed = await answering
            except VlmError as error:
                await _event(response, server_responses.error_response(error)[1])
                raise
            self._measure(model, timed)
            await _event(response, server_responses.chunk(*fields, None, timed.result))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
            return response
        finally:
            answering.cancel()

    def _measure(self, model: str, timed: TimedResult[Answer]) -> None:
        answer = timed.result
        self._metrics.measure(
            model,
            timed.queue_ms,
            timed.compute_ms,
            timed.batch_size,
            answer.prompt_tokens,
            answer.completion_tokens,
        )


def _id_and_time() -> tuple[str, int]:
    return f"chatcmpl-{uuid.uuid4().hex}", int(time.time())


async def _event(response: web.StreamResponse, data: object) -> None:
    await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")


def _deadline_ms(request: web.Request) -> float | None:
    header = request.headers.get(DEADLINE_HEADER)
    if header is None:
        return None
    try:
        deadline_ms = float(header)
    except ValueError:
        deadline_ms = math.nan
    if not math.isfinite(deadline_ms):
        raise InvalidRequest(
            f"{DEADLINE_HEADER} must be a number of milliseconds, not {header!r}", "invalid_deadline"
        )
    return deadline_ms


@web.middleware
async def _openai_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answers every error with a JSON body in OpenAI's schema."""
    try:
        return await handler(request)
    except VlmError as error:
        status, body = server_responses.error_response(error)
        if status == 500:
            log.error("%s", error, exc_info=error.__cause__)
        retry_after_s = error.retry_after_s if isinstance(error, VlmBusy) else None
        retry_after_s = 1 if isinstance(error, ServerNotReady) else retry_after_s
        headers = {"Retry-After": f"{retry_after_s:.0f}"} if retry_after_s else {}
        return web.json_response(body, status=status, headers=headers)
    except web.HTTPException as error:
        invalid = InvalidRequest(_hint(error), _code(error), error.status)
        return web.json_response(server_responses.error_response(invalid)[1], status=error.status)
    except ConnectionError:
        raise
    except (web.RequestPayloadError, HttpProcessingError) as error:
        invalid = InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}", "invalid_body")
        response = web.json_response(server_responses.error_response(invalid)[1], status=400)
        response.force_close()
        request.content.feed_eof()  # else aiohttp reads the rest of the body and fails in the same way
        return response
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        bug = GenerationFailed("the server failed on this request; its log contains the details")
        return web.json_response(server_responses.error_response(bug)[1], status=500)


def _code(error: web.HTTPException) -> str:
    if error.status == 413:
        return "request_entity_too_large"  # whose reason is "Content Too Large" from Python 3.13 on
    return error.reason.lower().replace(" ", "_")


def _hint(error: web.HTTPException) -> str:
    if error.status == 413:
        return "the body is too large; send a smaller image"
    return f"{error.reason}; use POST /v1/chat/completions or GET /v1/models, /healthz, /readyz, /metrics"
