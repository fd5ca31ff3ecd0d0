"""Serves GET /metrics for Prometheus, if the site file has an address for it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from aiohttp import web

from agent.config.metrics_settings import MetricsSettings
from inarvl.errors import InarvlError
from inarvl.secret_file import SecretUnavailable, secret_path
from vlm.access_check import AccessCheck
from vlm.allowed_hosts import AllowedHosts
from vlm.bearer_tokens import BadTokenFile, BearerTokens
from vlm.connections import BoundedSite, Connections
from vlm.errors import ListenError
from vlm.sockets import host_and_port, listening

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ExporterFailed(InarvlError):
    """The agent cannot serve metrics as the site file says."""

    code = "exporter_failed"


async def export(settings: MetricsSettings, render: Callable[[], bytes]) -> None:
    """Serves the metrics for ever.

    Args:
        render: returns the metrics in the text exposition format.

    Raises:
        ExporterFailed: the address is not one of this machine or is in use, or the tokens cannot be read.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": CONTENT_TYPE})

    connections = Connections()
    try:
        access = _access(settings)
        with listening(settings.listen) as listener:
            app = web.Application(middlewares=[connections.middleware, access.middleware])
            app.router.add_get("/metrics", metrics)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            try:
                await BoundedSite(runner, listener, connections).start()
                await anyio.sleep_forever()
            finally:
                await runner.cleanup()
    except (ListenError, BadTokenFile, SecretUnavailable) as error:
        raise ExporterFailed(f"{error} (metrics in the site file)") from None


def _access(settings: MetricsSettings) -> AccessCheck:
    file = settings.token_file
    tokens = None if file is None else BearerTokens(secret_path(file))
    host, _ = host_and_port(settings.listen)
    return AccessCheck(tokens, AllowedHosts([host, *settings.allowed_hosts]))
