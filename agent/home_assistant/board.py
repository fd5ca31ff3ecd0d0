"""The entities of the board: its readings, its decisions, its mode and its diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

from agent.home_assistant.component import Component, only, value_of
from agent.messages.topics import Topics
from controller import Mode

KEPT: Final = "value_json.controller.kept"
SHARE_OF_THE_BOARD: Final = (
    "{{ (value_json.controller.edge_share * 100) | round(1) if value_json.controller.questions else none }}"
)
ACCURACY: Final = f"{{{{ ({KEPT}.estimate * 100) | round(1) if {KEPT} is defined else none }}}}"
ACCURACY_ATTRIBUTES: Final = (
    f"{{% set kept = {KEPT} | default({{}}) %}}"
    "{{ {'interval_low': (kept.low * 100) | round(1) if kept else none,"
    " 'interval_high': (kept.high * 100) | round(1) if kept else none,"
    " 'floor': (value_json.controller.floor * 100) | round(1)} | tojson }}"
)
LATENCY: Final = "{{ value_json.runs[value_json.chosen].latency_ms | default(none) }}"
HEALTHY_PEERS: Final = (
    "{{ value_json.servers | selectattr('tier', 'eq', 'cloud') | selectattr('healthy') | list | count }}"
)
PEER_ATTRIBUTES: Final = (
    "{{ {'peers': value_json.servers | selectattr('tier', 'eq', 'cloud') | map(attribute='id') | list,"
    " 'healthy': value_json.servers | selectattr('tier', 'eq', 'cloud') | selectattr('healthy')"
    " | map(attribute='id') | list} | tojson }}"
)
MEASURED: Final = {"state_class": "measurement"}
DIAGNOSTIC: Final = {"entity_category": "diagnostic"}


class Reported(NamedTuple):
    """What the telemetry has besides the readings that it always has.

    Attributes:
        currency: of what was spent; None if no spend is reported.
    """

    currency: str | None = None

    @classmethod
    def of(cls, telemetry: Mapping[str, Any]) -> Reported:
        """Returns what a telemetry message has."""
        return cls((telemetry.get("spend") or {}).get("currency"))


def board_components(topics: Topics, reported: Reported) -> list[Component]:
    """Returns the entities that do not depend on cameras."""
    components = [
        _reading(topics, "power", "Power", value_of("device.power_w"), "W", device_class="power"),
        _reading(
            topics, "temperature", "Temperature", value_of("device.temp_c"), "°C", device_class="temperature"
        ),
        _reading(topics, "edge_share", "Answered on the board", SHARE_OF_THE_BOARD, "%", icon="mdi:chip"),
        _reading(
            topics,
            "accuracy",
            "Accuracy kept",
            ACCURACY,
            "%",
            icon="mdi:target",
            json_attributes_topic=topics.telemetry,
            json_attributes_template=ACCURACY_ATTRIBUTES,
        ),
        _latency(topics),
        _reading(topics, "queue", "Queue", value_of("queue.waiting"), "queries", icon="mdi:tray-full"),
        _mode(topics),
        *_events(topics),
        *_diagnostics(topics),
    ]
    if reported.currency is not None:
        spend = value_of("spend.today")
        components.append(
            _sensor(
                topics.telemetry,
                "spend",
                "Spent today",
                spend,
                device_class="monetary",
                unit_of_measurement=reported.currency,
            )
        )
    return components


def _reading(topics: Topics, key: str, name: str, template: str, unit: str, **more: Any) -> Component:
    return _sensor(topics.telemetry, key, name, template, unit_of_measurement=unit, **MEASURED, **more)


def _sensor(topic: str, key: str, name: str, template: str, **more: Any) -> Component:
    return Component(key, "sensor", name, {"state_topic": topic, "value_template": template, **more})


def _latency(topics: Topics) -> Component:
    return _sensor(
        topics.decision,
        "latency",
        "Latency",
        LATENCY,
        device_class="duration",
        unit_of_measurement="ms",
        suggested_display_precision=0,
        **MEASURED,
        json_attributes_topic=topics.decision,
        json_attributes_template=only(("arm", "reason")),
    )


def _mode(topics: Topics) -> Component:
    fields = {
        "state_topic": topics.mode_state,
        "command_topic": topics.mode_set,
        "options": list(get_args(Mode)),
        "qos": 1,
        "icon": "mdi:call-split",
    }
    return Component("mode", "select", "Mode", fields)


def _events(topics: Topics) -> list[Component]:
    return [
        _event(topics, "drift", "Drift", ("message",)),
        _event(topics, "error", "Error", ("code", "message")),
    ]


def _event(topics: Topics, kind: str, name: str, details: tuple[str, ...]) -> Component:
    fields = ", ".join(f"'{detail}': value_json.{detail}" for detail in details)
    template = (
        f"{{{{ {{'event_type': '{kind}', {fields}}} | tojson if value_json.event == '{kind}' else '' }}}}"
    )
    return Component(
        kind,
        "event",
        name,
        {"state_topic": topics.event, "event_types": [kind], "value_template": template},
    )


def _diagnostics(topics: Topics) -> list[Component]:
    return [
        _sensor(
            topics.telemetry,
            "peers",
            "Healthy peers",
            HEALTHY_PEERS,
            **MEASURED,
            **DIAGNOSTIC,
            json_attributes_topic=topics.telemetry,
            json_attributes_template=PEER_ATTRIBUTES,
        ),
        _reading(topics, "spool", "Spool", value_of("spool.open"), "queries", **DIAGNOSTIC),
        _sensor(topics.telemetry, "version", "Version", value_of("version"), **DIAGNOSTIC),
    ]
