"""Asks a vision-language model behind any OpenAI-compatible server: inarvl-vlm or another.

How such servers differ is handled in `vlm.dialect`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from vlm import dialect
from vlm.completion import Completion, Confidence, ModelCard
from vlm.errors import VlmError, VlmRefused, VlmTimeout, VlmUnavailable
from vlm.timing import DEADLINE_HEADER, Timing

__all__ = ["Completion", "Confidence", "ModelCard", "Ping", "VlmClient"]

MAX_REPLY_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Ping:
    """One measurement of the link.

    Attributes:
        rtt_ms: duration of the whole call.
        server_ms: the server's part of it, None if the server does not report it.
        sent_bytes: size of the uploaded payload, 0 if the server has no endpoint for uploads.
    """

    rtt_ms: float
    server_ms: float | None
    sent_bytes: int


class VlmClient:
    """A connection pool to one server.

    Every call raises VlmUnavailable, VlmTimeout, VlmBusy or VlmRefused, and VlmError for an unreadable reply.

    Args:
        url: "unix:/run/inarvl/vlm.sock" or "http(s)://host:port", with or without the base path /v1.
        api_key: sent as a bearer token.

    Raises:
        VlmError: `url` has another form.
    """

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._url = url
        self._socket_path = url.removeprefix("unix:") if url.startswith("unix:") else None
        if self._socket_path is None and not url.startswith(("http://", "https://")):
            raise VlmError(
                f"invalid server URL {url!r}: write unix:/path/to/socket, http://host:port or https://host:port"
            )
        self._base = "http://vlm" if self._socket_path else url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http: aiohttp.ClientSession | None = None
        self._supports_logprobs = True
        self._supports_probes = True

    async def complete(
        self, question: str, image: bytes, *, model: str, max_tokens: int, timeout_s: float
    ) -> Completion:
        """Asks `question` about `image` (encoded JPEG, PNG or WebP) with greedy decoding.

        Cancelling the call closes its connection, which stops the generation on the server.
        """
        started = time.monotonic()
        if self._supports_logprobs:
            request = dialect.chat_request(question, image, model=model, max_tokens=max_tokens, logprobs=True)
            try:
                return await self._complete(request, started, timeout_s)
            except VlmRefused as error:
                if not dialect.refuses_logprobs(error):
                    raise
                self._supports_logprobs = False
        request = dialect.chat_request(question, image, model=model, max_tokens=max_tokens, logprobs=False)
        return await self._complete(request, started, timeout_s)

    async def models(self, *, timeout_s: float = 5) -> list[ModelCard]:
        """Returns the models of the server."""
        reply, _ = await self._json("GET", "/v1/models", timeout_s)
        return dialect.read_models(self._url, reply)

    async def ping(self, *, payload_bytes: int = 0, timeout_s: float = 5) -> Ping:
        """Measures a round trip, or with `payload_bytes` an upload of that size.

        On a server without /healthz and /probe the round trip is GET /v1/models, and nothing is uploaded.
        """
        if self._supports_probes:
            try:
                if payload_bytes:
                    # Fixed but incompressible: compression in a tunnel would make the link look faster.
                    payload = Random(0).randbytes(payload_bytes)
                    return await self._ping("POST", "/probe", timeout_s, payload)
                return await self._ping("GET", "/healthz", timeout_s)
            except VlmRefused as error:
                if not dialect.lacks_endpoint(error):
                    raise
                self._supports_probes = False
        return await self._ping("GET", "/v1/models", timeout_s)

    async def ready(self) -> bool:
        """Whether the server can answer now; never raises."""
        try:
            await self._json("GET", "/readyz", 5)
        except VlmRefused as error:
            if not dialect.lacks_endpoint(error):
                return False
            try:
                return bool(await self.models())
            except VlmError:
                return False
        except VlmError:
            return False
        return True

    async def aclose(self) -> None:
        """Closes every connection."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _complete(self, request: Mapping[str, Any], started: float, timeout_s: float) -> Completion:
        left_s = timeout_s - (time.monotonic() - started)
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json", DEADLINE_HEADER: str(max(1, int(left_s * 1000)))}
        reply, timing = await self._json("POST", "/v1/chat/completions", left_s, body, headers)
        return dialect.read_completion(
            self._url,
            reply,
            requested_model=request["model"],
            latency_ms=(time.monotonic() - started) * 1000,
            timing=timing,
            request_bytes=len(body),
        )

    async def _ping(self, method: str, path: str, timeout_s: float, payload: bytes = b"") -> Ping:
        started = time.monotonic()
        async with self._call(method, path, timeout_s, payload or None) as response:
            await _read(response)
            timing = Timing.from_header(response.headers.get("Server-Timing"))
        return Ping((time.monotonic() - started) * 1000, timing.compute_ms, len(payload))

    async def _json(
        self,
        method: str,
        path: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[dict[str, Any], Timing]:
        async with self._call(method, path, timeout_s, body, headers) as response:
            content = await _read(response)
            timing = Timing.from_header(response.headers.get("Server-Timing"))
        try:
            reply = json.loads(content)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise VlmError(f"the reply of {self._url}{path} is no JSON object: {content[:200]!r}")
        return reply, timing

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        path: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if timeout_s <= 0:  # aiohttp reads 0 as "no limit"
            raise VlmTimeout(f"the timeout is over before {self._url} was asked")
        try:
            async with self._session().request(
                method,
                self._base + path,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise dialect.read_error(
                        self._url, response.status, response.headers.get("Retry-After"), await _read(response)
                    )
                yield response
        except asyncio.TimeoutError as error:
            raise VlmTimeout(f"{self._url} did not answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VlmUnavailable(f"cannot reach {self._url}: {error or type(error).__name__}") from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:  # created here because a session belongs to the running event loop
            path = self._socket_path
            connector = aiohttp.UnixConnector(path, limit=0) if path else aiohttp.TCPConnector(limit=0)
            self._http = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._http


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            response.close()
            raise VlmError(f"the reply of {response.url} is longer than {MAX_REPLY_BYTES} bytes")
    return bytes(content)
