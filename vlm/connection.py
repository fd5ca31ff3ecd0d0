"""HTTP connections to one server, with bounded replies and this package's errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp

from inarvl.redaction import hide, redacted, redacted_json
from inarvl.server_url import shown_url, socket_problem, url_problem
from vlm import replies
from vlm.errors import VlmError, VlmTimeout, VlmUnavailable
from vlm.remote_values import parse_json
from vlm.timing import Timing

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Reply:
    """A reply with status 200.

    Attributes:
        content: a JSON object or list.
        latency_ms: duration of the whole call.
    """

    content: Any
    timing: Timing
    latency_ms: float


class Connection:
    """A pool of connections; see VlmClient for the arguments.

    Attributes:
        base_url: the HTTP URL that all others begin with.

    Raises:
        VlmError: `url` has another form.
    """

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url
        self._socket_path = url.removeprefix("unix:") if url.startswith("unix:") else None
        problem = socket_problem(url) if self._socket_path else url_problem(url, ("http", "https"))
        if problem is not None:
            raise VlmError(
                f"invalid server URL {shown_url(url)!r}: it {problem}; write unix:/path/to/socket, "
                "http://host:port or https://host:port, with a path if needed"
            )
        self.base_url = "http://vlm" if self._socket_path else url
        if api_key:
            hide(api_key)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes every connection."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def json(
        self,
        method: str,
        url: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Calls `url` and reads the JSON of its reply.

        Raises:
            VlmError: see VlmClient.
        """
        started = time.monotonic()
        async with self._call(method, url, timeout_s, body, headers) as response:
            content = await _read(response)
            timing = Timing.of(response.headers)
        latency_ms = (time.monotonic() - started) * 1000
        parsed = redacted_json(parse_json(content))
        if not isinstance(parsed, dict | list):
            raise VlmError(f"the reply of {url} is no JSON object: {_shown(content)!r}")
        if isinstance(parsed, dict) and parsed.get("error") and not parsed.keys() & {"choices", "data"}:
            raise replies.error_in_reply(self._url, parsed)
        return Reply(parsed, timing, latency_ms)

    async def text(self, method: str, url: str, timeout_s: float) -> str:
        """Calls `url` and returns its reply.

        Raises:
            VlmError: see VlmClient.
        """
        async with self._call(method, url, timeout_s) as response:
            return (await _read(response)).decode(errors="replace")

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        url: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with AsyncExitStack() as closing:
                response = await self._response(closing, method, url, timeout_s, body, headers)
                if response.status != 200:
                    raise replies.read_error(
                        self._url, response.status, response.headers.get("Retry-After"), await _read(response)
                    )
                yield response
        except asyncio.TimeoutError as error:
            raise VlmTimeout(f"{self._url} did not answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a name that DNS cannot have
            connected = not isinstance(error, aiohttp.ClientConnectorError | ValueError)
            raise VlmUnavailable(
                f"cannot reach {self._url}: {redacted(str(error)) or type(error).__name__}",
                connected=connected,
            ) from error

    async def _response(
        self,
        closing: AsyncExitStack,
        method: str,
        url: str,
        timeout_s: float,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> aiohttp.ClientResponse:
        """Sends a request and returns when the headers of the reply have arrived.

        A server may close a pooled connection just when it is used again. If one ends before the reply, the
        request is sent once more on a new connection.
        """
        until = time.monotonic() + timeout_s

        async def send(session: aiohttp.ClientSession, reused: list[bool]) -> aiohttp.ClientResponse:
            left_s = until - time.monotonic()
            if left_s <= 0:  # aiohttp reads 0 as "no limit"
                raise VlmTimeout(f"the timeout is over before {self._url} was asked")
            response = await session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=left_s),
                allow_redirects=False,
                trace_request_ctx=reused,
            )
            return await closing.enter_async_context(response)

        reused: list[bool] = []
        try:
            return await send(self._session(), reused)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not reused:
                raise
            log.debug("asking %s again on a new connection: %s", self._url, error)
        session = await closing.enter_async_context(self._new_session(pooled=False))
        return await send(session, [])

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:  # created here because a session belongs to the running event loop
            self._http = self._new_session(pooled=True)
        return self._http

    def _new_session(self, *, pooled: bool) -> aiohttp.ClientSession:
        path, close = self._socket_path, not pooled
        connector = (
            aiohttp.UnixConnector(path, limit=0, force_close=close)
            if path
            else aiohttp.TCPConnector(limit=0, force_close=close)
        )
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_record_reuse)
        return aiohttp.ClientSession(connector=connector, headers=self._headers, trace_configs=[trace])


def _shown(content: bytes) -> str:
    return redacted(content.decode(errors="replace"))[:200]


async def _record_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.append(True)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            response.close()
            raise VlmError(f"the reply of {response.url} is longer than {MAX_REPLY_BYTES} bytes")
    return bytes(content)
