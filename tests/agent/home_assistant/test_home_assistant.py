"""The entities of cameras follow the site file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.config.settings import Settings
from agent.daemon.store import Store
from agent.home_assistant.home_assistant import HomeAssistant
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from inarvl.door import Door

pytestmark = pytest.mark.anyio

OPEN = {"text": "Is the gate open?", "answer": "yes_no", "topic": "inarvl/d/result/yard/open"}
COUNT = {"text": "How many cars?", "answer": "number"}


def settings_of(port: int, questions: dict[str, Any], frames: list[str]) -> Settings:
    return Settings.model_validate(
        {
            "device": "d",
            "broker": {"url": f"mqtt://127.0.0.1:{port}"},
            "home_assistant": {"enabled": True, "frames": frames},
            "cameras": {
                "yard": {"source": "mqtt:yard", "questions": questions},
                "asks-by-itself": {"local_only": True},
            },
        }
    )


async def test_questions_and_pictures_follow_the_site_file(broker: Any, tmp_path: Path) -> None:
    before = settings_of(broker.port, {"open": OPEN, "count": COUNT}, ["yard"])
    after = settings_of(broker.port, {"count": COUNT}, [])
    home_assistant = HomeAssistant(
        before,
        Store(tmp_path / "home_assistant.json"),
        model="generic",
        report=lambda _code, message: pytest.fail(message),
        guard=Door("pictures"),
    )
    shown: list[dict[str, tuple[str, str | None]]] = []
    options = MqttOptions("127.0.0.1", broker.port, client_id="home")
    home = MqttConnection(options, subscriptions=("homeassistant/device/#",))
    async with home, anyio.create_task_group() as tasks:
        tasks.start_soon(home_assistant.run)
        with anyio.fail_after(60):
            async for message in home.messages():
                message.ack()
                entities = json.loads(message.payload)["components"].values()
                named = {entity["name"]: entity for entity in entities if "name" in entity}
                shown.append(
                    {
                        name: (entity["platform"], entity.get("state_topic", entity.get("image_topic")))
                        for name, entity in named.items()
                        if name.startswith(("yard", "asks"))
                    }
                )
                if len(shown) == 2:
                    break
                home_assistant.apply(after)
        tasks.cancel_scope.cancel()
    count = ("sensor", "inarvl/d/camera/yard/count")
    assert shown == [
        {
            "yard": ("image", "inarvl/d/picture/yard"),
            "yard open": ("binary_sensor", "inarvl/d/result/yard/open"),
            "yard count": count,
        },
        {"yard count": count},
    ]
