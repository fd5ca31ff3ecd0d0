"""Serves the agent's HTTP routes at the address of the site file.

To add a route, write a class with `routes()` and add it to the parts in `agent/daemon/http.py`. The responses
to its errors, the check of host and token, and the limit of connections come with the application.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
from aiohttp import web
from anyio.abc import TaskStatus

from agent.http.errors import errors_as_responses
from agent.http.origin import same_origin
from inarvl.door import Door
from vlm.access_check import AccessCheck
from vlm.connections import BoundedSite, Connections
from vlm.sockets import listening

CLOSE_S = 1.0


def application(
    check: AccessCheck, door: Door, connections: Connections, routes: Iterable[web.RouteDef]
) -> web.Application:
    """Returns the application with `routes`."""
    app = web.Application(
        middlewares=[connections.middleware, errors_as_responses(door), check.middleware, same_origin]
    )
    app.add_routes(routes)
    return app


async def serve(
    listen: str,
    check: AccessCheck,
    door: Door,
    routes: Iterable[web.RouteDef],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serves the routes until cancelled.

    Args:
        listen: unix:/path or host:port.
        check: refuses requests with a wrong host or token.
        door: counts and logs invalid requests and faults.

    Raises:
        ListenError: the address is not one of this machine or is in use.
    """
    connections = Connections()
    app = application(check, door, connections, routes)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=CLOSE_S, access_log=None)
    with listening(listen) as listener:
        await runner.setup()
        try:
            await BoundedSite(runner, listener, connections).start()
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
