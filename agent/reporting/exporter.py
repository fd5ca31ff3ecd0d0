"""GET /metrics for Prometheus, where the site file asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio
from aiohttp import web

from inarvl.errors import InarvlError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ExporterFailed(InarvlError):
    """The address that the site file names for metrics cannot be listened on."""

    code = "exporter_failed"


async def export(host: str, port: int, render: Callable[[], bytes]) -> None:
    """Serve what `render` gives for ever.

    Raises:
        ExporterFailed: the address is taken, or not of this machine.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await anyio.sleep_forever()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ExporterFailed(
            f"cannot listen on {host}:{port} ({why}): name another one as metrics in the site file"
        ) from None
    finally:
        await runner.cleanup()
