"""The ingress of the application on Ray Serve: passes every request to a replica.

1. A request with another host, or without a valid token if there are tokens, is refused before its body is
   read.
2. The body is read completely, then sent to a replica that Ray chooses.
3. If the replica dies before it has answered, another one is asked, at most ATTEMPTS in all: a request that
   kills its replica must not kill many. A stream is repeated only before its first piece.
4. The caller's deadline applies from the arrival of the request, over all attempts. A request that is no
   question has PROBE_S; without an answer by then, no replica is available.
5. `Server-Timing` includes the time in Ray's queues, so that devices do not mistake it for a slow network.
6. /metrics has the metrics of all replicas, distinguished by the label `replica`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from cloud.ray_replica import Head, ServerEnded
from cloud.replica_metrics import merged
from vlm.errors import DeadlinePassed, InvalidRequest, ServerNotReady, VlmError
from vlm.request_body import MAX_BYTES
from vlm.server_access import ServerAccess
from vlm.server_responses import error_response
from vlm.timing import DEADLINE_HEADER, Timing

log = logging.getLogger(__name__)

ATTEMPTS = 3
PAUSE_S = 0.5  # until Ray knows that a replica has ended
PROBE_S = 3.0
QUESTIONS = "/v1/chat/completions"
OF_THE_CONNECTION = {
    "authorization",
    "host",
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "expect",
    "date",
    "server",
}
DEADLINE, TIMING = DEADLINE_HEADER.lower(), "server-timing"


class Ingress:
    """Answers HTTP requests with the help of the replicas.

    Args:
        replicas: the handle of the deployment of `cloud.ray_replica.Replica`.
        access: who may use the application.

    Raises:
        BadTokenFile: the tokens cannot be read on this machine.
    """

    def __init__(self, replicas: DeploymentHandle, access: ServerAccess) -> None:
        self._access = access.request_check("localhost:0")
        self._replicas = replicas
        self._forward = replicas.options(method_name="forward", stream=True)

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        hosts, authorizations = (request.headers.getlist(name) for name in ("host", "authorization"))
        remote = request.client.host if request.client else None
        refusal = self._access.refusal(request.url.path, hosts, authorizations, remote)
        if refusal is not None:
            return JSONResponse(refusal.body, refusal.status, refusal.headers)
        try:
            if request.url.path == "/metrics":
                return await self._metrics()
            return await self._ask(request, await _read(request))
        except VlmError as error:
            status, content = error_response(error)
            return JSONResponse(content, status)

    async def _ask(self, request: Request, body: bytes) -> Response:
        arrived_at = time.monotonic()
        limit_s = _limit_s(request)
        headers = _without_connection(request.headers.items())
        try:
            with anyio.fail_after(limit_s):
                for _ in range(ATTEMPTS):
                    if DEADLINE in headers and math.isfinite(limit_s):
                        left_s = limit_s - (time.monotonic() - arrived_at)
                        headers[DEADLINE] = f"{max(left_s, 0.0) * 1000:.0f}"
                    try:
                        return await self._pass_on(request, headers, body, arrived_at)
                    except (RayActorError, ServerEnded) as error:
                        log.warning("a replica ended during a request: %s", error)
                    await anyio.sleep(PAUSE_S)
        except TimeoutError:
            if DEADLINE in headers:
                raise DeadlinePassed("the deadline passed before the answer was ready") from None
            raise ServerNotReady("no replica is available; try again soon") from None
        except DeploymentUnavailableError:
            raise ServerNotReady("no replica can be started; see the log of Ray Serve") from None
        raise ServerNotReady(f"{ATTEMPTS} replicas ended during this request; try again soon")

    async def _pass_on(
        self, request: Request, headers: dict[str, str], body: bytes, arrived_at: float
    ) -> Response:
        """Returns the response of one replica."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        pieces = self._forward.remote(request.method, path, headers, body)
        try:
            head: Head = await anext(pieces)
            answer = _without_connection(head.headers)
            if answer.get("content-type", "").startswith("text/event-stream"):
                first = await anext(pieces, b"")
                return StreamingResponse(_streamed(first, pieces), head.status, answer)
            content = b"".join([piece async for piece in pieces])
        except BaseException:  # the caller has disconnected, its deadline passed, or the replica ended
            pieces.cancel()
            raise
        if TIMING in answer:
            answer[TIMING] = _with_waiting(answer[TIMING], time.monotonic() - arrived_at)
        return Response(content, head.status, answer)

    async def _metrics(self) -> Response:
        results = await self._replicas.broadcast("metrics").results_async(
            timeout_s=PROBE_S, return_exceptions=True
        )
        texts = dict(result for result in results if not isinstance(result, BaseException))
        return Response(merged(texts), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise InvalidRequest(
                "the body is too large; send a smaller image", "request_entity_too_large", 413
            )
    return bytes(body)


async def _streamed(first: bytes, pieces: Any) -> AsyncIterator[bytes]:
    try:
        yield first
        async for piece in pieces:
            yield piece
    finally:
        pieces.cancel()


def _limit_s(request: Request) -> float:
    """Returns how long the caller waits; infinite for a question without a valid deadline."""
    if request.url.path != QUESTIONS:
        return PROBE_S
    try:
        deadline_s = float(request.headers.get(DEADLINE, "inf")) / 1000
    except ValueError:
        return math.inf  # the replica refuses the request
    return math.inf if math.isnan(deadline_s) else deadline_s


def _without_connection(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers if name.lower() not in OF_THE_CONNECTION}


def _with_waiting(header: str, took_s: float) -> str:
    timing = Timing.from_header(header)
    return Timing(max(took_s * 1000 - (timing.compute_ms or 0.0), 0.0), timing.compute_ms).to_header()
