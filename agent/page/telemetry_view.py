"""The part of a telemetry message that the page shows, bounded in size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_SERVERS, MAX_TEXT = 16, 200
CONTROLLER = (
    "questions",
    "edge_share",
    "escalated",
    "audited",
    "labels",
    "feedback",
    "kept",
    "floor",
    "alarms",
)
SERVER = ("tier", "id", "trust", "healthy", "problem", "link")


def telemetry_view(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the readings, the servers with their links, the controller's status, and the day's spend."""
    controller = content["controller"]
    return {
        "time": content["time"],
        "device": dict(content["device"]),
        "faults": [str(name)[:MAX_TEXT] for name in list(content.get("faults", ()))[:MAX_SERVERS]],
        "problems": [str(problem)[:MAX_TEXT] for problem in content.get("problems", ())],
        "servers": [_server(server) for server in content["servers"][:MAX_SERVERS]],
        "controller": {name: controller[name] for name in CONTROLLER if name in controller},
        "spend": content.get("spend"),
    }


def _server(server: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: server.get(name) for name in SERVER}
    if shown["problem"] is not None:
        shown["problem"] = str(shown["problem"])[:MAX_TEXT]
    return shown
