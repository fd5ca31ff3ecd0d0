"""Who asks: the client that has the token of a request, or `http`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from aiohttp import web

from agent.config.http_settings import HttpSettings
from agent.config.metrics_settings import MetricsSettings
from inarvl.secret_file import secret_path
from vlm.access_check import AccessCheck
from vlm.allowed_hosts import AllowedHosts
from vlm.bearer_tokens import BearerTokens
from vlm.sockets import host_and_port

NAMELESS = "http"


class Callers:
    """The callers of one address.

    Args:
        section: name of the section of the site file.
        open_paths: paths that need no token.

    Attributes:
        check: refuses requests with a wrong host or token.

    Raises:
        BadTokenFile, SecretUnavailable: the tokens cannot be read.
    """

    def __init__(
        self, settings: HttpSettings | MetricsSettings, section: str, *, open_paths: Collection[str] = ()
    ) -> None:
        file: Path | None = settings.token_file
        self._tokens = None if file is None else BearerTokens(secret_path(file))
        hosts = None
        if not settings.listen.startswith("unix:"):
            host, _ = host_and_port(settings.listen)
            hosts = AllowedHosts([host, *settings.allowed_hosts])
        remedy = f"add the name in the URL to {section}.allowed_hosts in the site file"
        self.check = AccessCheck(self._tokens, hosts, remedy=remedy, open_paths=open_paths)

    def name_of(self, request: web.Request) -> str:
        """Returns the client that asks: the name beside its token in the token file, else `http`."""
        name = None if self._tokens is None else self._tokens.name_of(request.headers.get("Authorization"))
        return name or NAMELESS

    def is_one_of(self, request: web.Request, names: Collection[str]) -> bool:
        """Returns whether the name beside the token of a request is one of `names`, or no token is needed."""
        if self._tokens is None:
            return True
        return self._tokens.name_of(request.headers.get("Authorization")) in names
