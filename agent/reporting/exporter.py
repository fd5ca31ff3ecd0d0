"""Serves GET /metrics for Prometheus, if the site file has an address for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import anyio
from aiohttp import web

from inarvl.errors import InarvlError
from vlm.connections import BoundedSite, Connections

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ExporterFailed(InarvlError):
    """The agent cannot listen on the address for metrics in the site file."""

    code = "exporter_failed"


async def export(host: str, port: int, render: Callable[[], bytes]) -> None:
    """Serves the metrics for ever.

    Args:
        render: returns the metrics in the text exposition format.

    Raises:
        ExporterFailed: another program uses the address, or it is not an address of this machine.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": CONTENT_TYPE})

    connections = Connections()
    app = web.Application(middlewares=[connections.middleware])
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ExporterFailed(
            f"cannot listen on {host}:{port} ({reason}): write another address as metrics in the site file"
        ) from None
    with listener:
        await runner.setup()
        try:
            await BoundedSite(runner, listener, connections).start()
            await anyio.sleep_forever()
        finally:
            await runner.cleanup()
