"""Serves GET /metrics for Prometheus at an address of its own, if the site file has one."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from agent.config.metrics_settings import MetricsSettings
from agent.http.callers import Callers
from agent.http.health import metrics_response
from agent.http.http_door import serve
from inarvl.door import Door
from inarvl.errors import InarvlError
from inarvl.secret_file import SecretUnavailable
from vlm.bearer_tokens import BadTokenFile
from vlm.errors import ListenError


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
        return metrics_response(render())

    try:
        check = Callers(settings, "metrics").check
        await serve(settings.listen, check, Door("requests for metrics"), [web.get("/metrics", metrics)])
    except (ListenError, BadTokenFile, SecretUnavailable) as error:
        raise ExporterFailed(f"{error} (metrics in the site file)") from None
