"""An entity of Home Assistant, as a component of the discovery message of its device."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

UNKNOWN = "None"  # Home Assistant shows this state as unknown


class Component(NamedTuple):
    """One entity.

    Attributes:
        key: unique within the device. An entity whose platform changes gets another key, because Home
            Assistant does not change the platform of an entity.
        fields: its configuration, by the names that Home Assistant documents.
    """

    key: str
    platform: str
    name: str
    fields: dict[str, Any]

    def to_json(self, device: str) -> dict[str, Any]:
        """Returns the configuration of the entity of the device with this id."""
        return {
            "platform": self.platform,
            "unique_id": f"{device}_{self.key}",
            "name": self.name,
            **self.fields,
        }


def value_of(path: str, *, factor: float = 1) -> str:
    """Returns a template for the number at a path of a JSON message; unknown if it is missing.

    >>> value_of("device.power_w")
    '{{ value_json.device.power_w | default(none) }}'
    """
    value = f"value_json.{path}"
    if factor == 1:
        return f"{{{{ {value} | default(none) }}}}"
    return f"{{{{ ({value} * {factor:g}) | round(1) if {value} is defined else none }}}}"


def only(names: Iterable[str]) -> str:
    """Returns a template for these fields of a JSON message, as attributes; others are left out."""
    return (
        "{{ dict(value_json.items() | selectattr(0, 'in', "
        + json.dumps(list(names))
        + ") | list) | tojson }}"
    )
