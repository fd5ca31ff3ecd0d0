"""GET /healthz, /readyz and /metrics: for a service manager, a load balancer and Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from agent.http.errors import HttpError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """Reports whether the agent is alive and can answer, and its metrics.

    Args:
        problem: returns why the agent cannot answer now; None if it can.
        metrics: returns the metrics in the text exposition format.
    """

    def __init__(self, problem: Callable[[], str | None], metrics: Callable[[], bytes]) -> None:
        self._problem = problem
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [
            web.get("/healthz", self._alive),
            web.get("/readyz", self._ready),
            web.get("/metrics", self._serve_metrics),
        ]

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        problem = self._problem()
        if problem is not None:
            raise HttpError("not_ready", problem, retry_after_s=1.0)
        return web.json_response({"status": "ready"})

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return metrics_response(self._metrics())


def metrics_response(rendered: bytes) -> web.Response:
    """Returns the response with metrics in the text exposition format."""
    return web.Response(body=rendered, headers={"Content-Type": CONTENT_TYPE})
