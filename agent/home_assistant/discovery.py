"""The discovery message: one device with all its entities.

Its format is that of https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload. A removed
entity stays in the message with its platform alone: so Home Assistant removes it, also if it was not running
at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.home_assistant.component import Component
from agent.home_assistant.identifier import identifier
from agent.messages.topics import Topics
from inarvl import __version__


def device_id(device: str) -> str:
    """Returns the id of the device in Home Assistant.

    >>> device_id("gate-3")
    'inarvl_gate-3'
    """
    return f"inarvl_{identifier(device)}"


def discovery_topic(prefix: str, device: str) -> str:
    """Returns the topic of the discovery message."""
    return f"{prefix}/device/{device_id(device)}/config"


def discovery_message(
    topics: Topics, model: str, components: Iterable[Component], removed: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the message.

    Args:
        model: of the board.
        removed: platforms of the removed entities, by key.
    """
    device = device_id(topics.device)
    return {
        "device": {
            "identifiers": [device],
            "name": topics.device,
            "manufacturer": "inarvl",
            "model": model,
            "sw_version": __version__,
        },
        "origin": {"name": "inarvl", "sw_version": __version__},
        "availability": [
            {"topic": topics.status, "payload_available": "online", "payload_not_available": "offline"}
        ],
        "components": {
            **{key: {"platform": platform} for key, platform in removed.items()},
            **{component.key: component.to_json(device) for component in components},
        },
    }
