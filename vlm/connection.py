"""HTTP connections to one server, with bounded replies and this package's errors."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp

from inarvl.connection_problem import connection_problem
from inarvl.redaction import hide, redacted, redacted_json
from inarvl.server_url import shown_url, socket_problem, url_problem
from vlm import replies
from vlm.client_tls import ClientTls
from vlm.errors import VlmError, VlmTimeout, VlmUnavailable, VlmUntrusted
from vlm.remote_values import parse_json
from vlm.timing import Timing

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 2 * 2**20
AddressCheck = Callable[[str, int], str | None]
"""Returns why a request must not go to an IP address and port; None if it may."""
BeforeResending = Callable[[], Awaitable[None]]
"""Awaited before a request is sent again; may raise, so that it is not."""


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
        BadTlsFile: a file of `tls` cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        tls: ClientTls | None = None,
        address_problem: AddressCheck | None = None,
    ) -> None:
        self._url = url
        self._address_problem = address_problem
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
        self._tls = tls
        self._context: ssl.SSLContext | bool = True if tls is None else tls.context()
        self._fingerprint = None if tls is None else tls.check()
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
        before_resending: BeforeResending | None = None,
    ) -> Reply:
        """Calls `url` and reads the JSON of its reply.

        Raises:
            VlmError: see VlmClient.
        """
        started = time.monotonic()
        async with self._call(method, url, timeout_s, body, headers, before_resending) as response:
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
        before_resending: BeforeResending | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with AsyncExitStack() as closing:
                response = await self._response(
                    closing, method, url, timeout_s, body, headers, before_resending
                )
                if response.status != 200:
                    raise replies.read_error(
                        self._url, response.status, response.headers.get("Retry-After"), await _read(response)
                    )
                yield response
        except asyncio.TimeoutError as error:
            raise VlmTimeout(f"{self._url} did not answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a name that DNS cannot have
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> VlmUnavailable:
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            return VlmUntrusted(
                f"cannot trust {self._url}: its certificate has the fingerprint {error.got.hex()}, which is "
                "not the trusted one: if it was renewed, trust the new one"
            )
        cause: BaseException = error
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            cause = error.certificate_error
        elif isinstance(error, aiohttp.ClientConnectorError):
            cause = error.os_error
        problem = connection_problem(next(filter(_is_tls_error, _causes(cause)), cause))
        if self._may_lack_certificate(error):
            problem = f"{problem}; if it requires a client certificate, set cert_file and key_file"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return VlmUntrusted(f"cannot trust {self._url}: {problem}")
        connected = not isinstance(error, aiohttp.ClientConnectorError | ValueError)
        return VlmUnavailable(f"cannot reach {self._url}: {redacted(problem)}", connected=connected)

    def _may_lack_certificate(self, error: Exception) -> bool:
        """Returns whether a server ended a new TLS connection without saying why, which TLS 1.3 permits."""
        ended = isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError) or (
            isinstance(error, aiohttp.ClientOSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        )
        shows = self._tls is not None and self._tls.cert_file is not None
        return ended and self._url.startswith("https:") and not shows

    async def _response(
        self,
        closing: AsyncExitStack,
        method: str,
        url: str,
        timeout_s: float,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        before_resending: BeforeResending | None,
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
                ssl=self._context,
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
        if before_resending is not None:
            await before_resending()
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
            else aiohttp.TCPConnector(
                limit=0,
                force_close=close,
                ssl=self._fingerprint or True,
                socket_factory=self._socket if self._address_problem is not None else None,
            )
        )
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_record_reuse)
        return aiohttp.ClientSession(connector=connector, headers=self._headers, trace_configs=[trace])

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Returns a socket to connect to an address; a name may have others than when it was checked.

        Raises:
            OSError: nothing may be sent to this address.
        """
        family, kind, protocol, _, (host, port, *_) = address
        problem = None if self._address_problem is None else self._address_problem(host, port)
        if problem is not None:
            raise OSError(f"it {problem}")
        return socket.socket(family, kind, protocol)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_tls_error(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError)


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
