"""Asks a vision-language model behind any OpenAI-compatible server, ours or a foreign one."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from vlm.completion import Completion, Confidence, ModelCard
from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmTimeout, VlmUnavailable
from vlm.timing import DEADLINE_HEADER, Timing

__all__ = ["Completion", "Confidence", "ModelCard", "Ping", "VlmClient"]

MAX_ANSWER_BYTES = 8 * 2**20
NOT_FOUND = {404, 405, 501}


@dataclass(frozen=True)
class Ping:
    """One probe of the link.

    Attributes:
        rtt_ms: the whole call.
        server_ms: the part the server spent on it, None when it does not tell.
        sent_bytes: payload that went up with it, 0 when the server takes none.
    """

    rtt_ms: float
    server_ms: float | None
    sent_bytes: int


class VlmClient:
    """A connection pool to one server.

    `url` is "unix:/run/inarvl/vlm.sock" or "http(s)://host:port", with or without the base path /v1.
    Every call raises VlmUnavailable, VlmTimeout, VlmBusy, VlmRefused or, for an unreadable answer, VlmError.
    """

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._url = url
        self._socket_path = url.removeprefix("unix:") if url.startswith("unix:") else None
        if self._socket_path is None and not url.startswith(("http://", "https://")):
            raise VlmError(
                f"cannot ask {url!r}: write unix:/path/to/socket, http://host:port or https://host:port"
            )
        self._base = "http://vlm" if self._socket_path else url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http: aiohttp.ClientSession | None = None
        self._gives_logprobs = True
        self._takes_probes = True

    async def complete(
        self, question: str, image: bytes, *, model: str, max_tokens: int, timeout_s: float
    ) -> Completion:
        """Ask `question` about `image` (encoded JPEG, PNG or WebP), greedily.

        Cancelling the call closes its connection, so that the server stops generating.
        """
        started = time.monotonic()
        request: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "user", "content": [_image_part(image), {"type": "text", "text": question}]}
            ],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        if self._gives_logprobs:
            try:
                return await self._complete(
                    {**request, "logprobs": True, "top_logprobs": 2}, started, timeout_s
                )
            except VlmRefused as refusal:
                if "logprob" not in str(refusal):
                    raise
                self._gives_logprobs = False
        return await self._complete(request, started, timeout_s)

    async def models(self, *, timeout_s: float = 5) -> list[ModelCard]:
        """What the server serves."""
        answer, _ = await self._json("GET", "/v1/models", timeout_s)
        listed = answer.get("data")
        if not isinstance(listed, list) or not all(isinstance(entry, Mapping) for entry in listed):
            raise VlmError(f"{self._url}/v1/models lists no models; is this an OpenAI-compatible server?")
        return [ModelCard.from_json(entry) for entry in listed]

    async def ping(self, *, payload_bytes: int = 0, timeout_s: float = 5) -> Ping:
        """Measure the link: a round trip, or with `payload_bytes` an upload of that size.

        On a server without our probes the round trip is GET /v1/models, and nothing is uploaded.
        """
        if self._takes_probes:
            try:
                if payload_bytes:
                    # Fixed but incompressible, so that a compressing tunnel does not flatter the link.
                    payload = Random(0).randbytes(payload_bytes)
                    return await self._ping("POST", "/probe", timeout_s, payload)
                return await self._ping("GET", "/healthz", timeout_s)
            except VlmRefused as refusal:
                if refusal.status not in NOT_FOUND:
                    raise
                self._takes_probes = False
        return await self._ping("GET", "/v1/models", timeout_s)

    async def ready(self) -> bool:
        """Whether the server can answer now; never raises."""
        try:
            await self._json("GET", "/readyz", 5)
        except VlmRefused as refusal:
            if refusal.status not in NOT_FOUND:
                return False
            try:
                return bool(await self.models())
            except VlmError:
                return False
        except VlmError:
            return False
        return True

    async def aclose(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _complete(self, request: Mapping[str, Any], started: float, timeout_s: float) -> Completion:
        left_s = timeout_s - (time.monotonic() - started)
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/json", DEADLINE_HEADER: str(max(1, int(left_s * 1000)))}
        answer, timing = await self._json("POST", "/v1/chat/completions", left_s, body, headers)
        try:
            choice = answer["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise VlmError(f"{self._url} answered without a choice: {json.dumps(answer)[:200]}") from None
        usage = answer.get("usage")
        tokens = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
        return Completion(
            text=text if isinstance(text, str) else "",
            model=str(answer.get("model") or request["model"]),
            latency_ms=(time.monotonic() - started) * 1000,
            queue_ms=timing.queue_ms,
            compute_ms=timing.compute_ms,
            confidence=Confidence.from_logprobs(choice.get("logprobs")),
            completion_tokens=tokens if isinstance(tokens, int) else None,
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
            read = await _read(response)
            timing = Timing.from_header(response.headers.get("Server-Timing"))
        try:
            answer = json.loads(read)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise VlmError(f"{self._url}{path} did not answer with a JSON object: {read[:200]!r}")
        return answer, timing

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
            raise VlmTimeout(f"no time was left to ask {self._url}")
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
                    raise _failure(self._url, response, await _read(response))
                yield response
        except asyncio.TimeoutError as error:
            raise VlmTimeout(f"{self._url} gave no answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VlmUnavailable(f"cannot reach {self._url}: {error or type(error).__name__}") from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:  # made here because a session belongs to the running event loop
            path = self._socket_path
            connector = aiohttp.UnixConnector(path, limit=0) if path else aiohttp.TCPConnector(limit=0)
            self._http = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._http


def _image_part(image: bytes) -> dict[str, Any]:
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(image).decode()}"},
    }


async def _read(response: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            response.close()
            raise VlmError(f"{response.url} answers with more than {MAX_ANSWER_BYTES} bytes")
    return bytes(read)


def _failure(url: str, response: aiohttp.ClientResponse, body: bytes) -> VlmError:
    """The error that a non-200 answer stands for."""
    status = response.status
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    told = told.get("error", told) if isinstance(told, dict) else None
    if isinstance(told, Mapping):
        message, reason = str(told.get("message") or told), told.get("code")
    else:
        message, reason = str(told or body[:300].decode(errors="replace")), None
    message = f"{url}: {message}"
    if status == 429 or reason == VlmBusy.code:
        after = response.headers.get("Retry-After", "")
        return VlmBusy(message, float(after) if after.isdigit() else None)
    if status in (408, 504):
        return VlmTimeout(message)
    if 400 <= status < 500 or "logprob" in message:
        return VlmRefused(message, status, reason if isinstance(reason, str) else None)
    return VlmUnavailable(message)
