"""Checks the host and the token of each request, before its body is read.

1. The header `Host` must name this server (`vlm.allowed_hosts`), else the status is 421.
2. If the server has tokens, every request needs one, else the status is 401. A monitor may read /healthz
   without: it says only that the process is alive. Other paths may be open too.
3. Both are answered in OpenAI's schema of errors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from inarvl.rate_limit import RateLimit
from vlm.allowed_hosts import AllowedHosts
from vlm.bearer_tokens import BearerTokens

log = logging.getLogger(__name__)

OPEN = "/healthz"
LOG_EVERY_S = 60.0


@dataclass(frozen=True)
class Refusal:
    """The response to a request that is not answered.

    Attributes:
        body: an error in OpenAI's schema.
    """

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class AccessCheck:
    """Checks requests.

    Args:
        tokens: those that are valid; None if requests need none.
        hosts: under which the server is reached; None for any, as on a unix socket.
        remedy: what to do if the server is reached under another name.
        open_paths: paths that need no token, besides /healthz.
    """

    def __init__(
        self,
        tokens: BearerTokens | None = None,
        hosts: AllowedHosts | None = None,
        *,
        remedy: str = "start it with --allowed-host and the name in the URL",
        open_paths: Collection[str] = (),
    ) -> None:
        self._tokens = tokens
        self._hosts = hosts
        self._remedy = remedy
        self._open = frozenset({OPEN, *open_paths})
        self._log_limit = RateLimit(1, LOG_EVERY_S)

    @property
    def middleware(self) -> Middleware:
        """Answers the requests that are refused."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            hosts = request.headers.getall("Host", [])
            if hosts:
                hosts.append(request.host)  # differs if the request line has a whole URL
            authorizations = request.headers.getall("Authorization", [])
            refusal = self.refusal(request.path, hosts, authorizations, request.remote)
            if refusal is None:
                return await handler(request)
            body = json.dumps(refusal.body).encode()
            return web.Response(
                body=body, status=refusal.status, headers=refusal.headers, content_type="application/json"
            )

        return check

    def refusal(
        self, path: str, hosts: Sequence[str], authorizations: Sequence[str], remote: str | None
    ) -> Refusal | None:
        """Returns the response to a request that may not be answered; None for the others.

        Args:
            hosts, authorizations: the values of the headers `Host` and `Authorization`.
            remote: address of the client, for the log.
        """
        if self._hosts is not None and not self._hosts.allow(hosts):
            self._log(f"the host {', '.join(hosts)[:100] or 'none'}", remote)
            return _refusal(
                421,
                "host_not_allowed",
                f"this server has another name; use its own address or host name, or {self._remedy}",
            )
        if self._tokens is None or path in self._open:
            return None
        if len(authorizations) == 1 and self._tokens.accept(authorizations[0]):
            return None
        self._log("a wrong token" if authorizations else "no token", remote)
        message = "this server needs a valid token: send the header Authorization: Bearer TOKEN"
        return _refusal(401, "invalid_api_key", message, {"WWW-Authenticate": "Bearer"})

    def _log(self, reason: str, remote: str | None) -> None:
        more = self._log_limit.acquire()
        if more is not None:
            others = f" (and {more} others before)" if more else ""
            log.warning("refused a request of %s with %s%s", remote or "a client", reason, others)


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Refusal:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Refusal(status, {"error": error}, headers or {})
