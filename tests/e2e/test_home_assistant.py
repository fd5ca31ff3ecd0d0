"""A real Home Assistant finds the real agent over a real broker, and shows its entities.

The model is scripted.
"""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from anyio import to_thread
from home_assistant_process import HomeAssistant, home_assistant
from PIL import Image

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.standalone.broker import broker, free_port
from inarvl import __version__
from product import START_S, Product

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(900)]

QUESTIONS = {
    "open": {"text": "Is the gate open?", "answer": "yes_no"},
    "count": {"text": "How many people are there?", "answer": "number"},
    "colour": {"text": "Which colour has the gate?", "choices": ["red", "blue"]},
    "scene": {"text": "What do you see?", "answer": "text"},
}
ANSWERS = {"open": "yes", "many": "3", "colour": "red", "see": "A red gate."}
SOURCE = "test/pictures"
MASK = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
CAMERA = {"source": f"mqtt:{SOURCE}", "mask": MASK, "questions": QUESTIONS}
BOARD = {
    "binary_sensor.e2e_gate_open",
    "event.e2e_drift",
    "event.e2e_error",
    "image.e2e_gate",
    "select.e2e_mode",
    "sensor.e2e_accuracy_kept",
    "sensor.e2e_answered_on_the_board",
    "sensor.e2e_gate_colour",
    "sensor.e2e_gate_count",
    "sensor.e2e_gate_scene",
    "sensor.e2e_healthy_peers",
    "sensor.e2e_latency",
    "sensor.e2e_power",
    "sensor.e2e_queue",
    "sensor.e2e_spool",
    "sensor.e2e_temperature",
    "sensor.e2e_version",
}
IF_REPORTED = {"sensor.e2e_spent_today"}


async def chat(request: web.Request) -> web.Response:
    content = (await request.json())["messages"][-1]["content"]
    text = content if isinstance(content, str) else next(p["text"] for p in content if p["type"] == "text")
    answer = next((answer for word, answer in ANSWERS.items() if word in text), "yes")
    return web.json_response({"choices": [{"message": {"role": "assistant", "content": answer}}]})


async def models(_request: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "board"}]})


@asynccontextmanager
async def scripted_model(socket: Path) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    yield
    await runner.cleanup()


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(file, "JPEG")
    return file.getvalue()


class Site:
    """The agent's site file and its process."""

    def __init__(self, product: Product, connection: MqttConnection) -> None:
        self.product = product
        self.connection = connection

    def configure(self, **site: Any) -> None:
        content = yaml.safe_load(self.product.config.read_text())
        self.product.config.write_text(yaml.safe_dump(content | site))

    def reload(self, **site: Any) -> None:
        self.configure(**site)
        os.kill(self.product.services["agent"]._process.pid, signal.SIGHUP)


@asynccontextmanager
async def site_of(folder: Path) -> AsyncIterator[Site]:
    with broker(folder) as (_, port):
        product = Product(folder, port, free_port())
        product.configure()
        options = MqttOptions("127.0.0.1", port, client_id="test")
        async with scripted_model(folder / "vlm.sock"), MqttConnection(options) as connection:
            await connection.connected.wait()
            site = Site(product, connection)
            site.configure(
                cameras={"gate": CAMERA},
                home_assistant={"enabled": True, "frames": ["gate"]},
                discovery={"zeroconf": False, "mqtt": False},
                probing={"sight": False, "upload_bytes": 0},
            )
            service = product.start("agent")
            try:
                await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
                yield site
            finally:
                await to_thread.run_sync(product.services["agent"].stop)


async def test_a_real_home_assistant_shows_the_agent(tmp_path: Path) -> None:
    async with home_assistant(tmp_path / "home-assistant") as ha, site_of(tmp_path) as site:
        await ha.connect_to(site.product.port)
        found = await ha.until(lambda states: states.keys() >= BOARD)
        assert found.keys() - IF_REPORTED == BOARD
        await readings_are_shown(ha)
        await the_mode_follows_the_select(ha)
        await answers_are_shown(ha, site)
        await events_are_shown(ha, site)
        await an_error_is_unknown(ha, site)
        await it_is_unavailable_while_the_agent_is_stopped(ha, site)
        await what_is_removed_from_the_site_file_disappears(ha, site)
        assert "mqtt" not in ha.log(), ha.log()


async def readings_are_shown(ha: HomeAssistant) -> None:
    states = await ha.until(lambda states: states["sensor.e2e_version"]["state"] == __version__)
    assert states["sensor.e2e_healthy_peers"]["state"] == "0"
    assert states["sensor.e2e_queue"]["state"] == "0"
    states = await ha.until(lambda states: states["sensor.e2e_spool"]["state"] == "0")
    # Nothing was answered or compared yet, and this is no 0.
    for name in ("answered_on_the_board", "accuracy_kept", "latency", "gate_count"):
        assert states[f"sensor.e2e_{name}"]["state"] == "unknown", name
    assert states["sensor.e2e_accuracy_kept"]["attributes"]["floor"] == 97.0


async def the_mode_follows_the_select(ha: HomeAssistant) -> None:
    for mode in ("cloud", "local"):
        await ha.select("select.e2e_mode", mode)
        await ha.until(lambda states: states["select.e2e_mode"]["state"] == mode)  # noqa: B023


async def answers_are_shown(ha: HomeAssistant, site: Site) -> None:
    def answered(states: dict[str, Any]) -> bool:
        return bool(states["sensor.e2e_gate_scene"]["state"] == "A red gate.")

    await site.connection.publish(SOURCE, picture(), qos=1)
    await ha.until(answered)
    states = await ha.until(lambda states: states["image.e2e_gate"]["state"] != "unknown")
    states = await ha.until(lambda states: states["sensor.e2e_gate_count"]["state"] == "3")
    assert states["binary_sensor.e2e_gate_open"]["state"] == "on"
    assert states["sensor.e2e_gate_colour"]["state"] == "red"
    attributes = states["sensor.e2e_gate_colour"]["attributes"]
    assert (attributes["tier"], attributes["options"]) == ("local", ["red", "blue"])
    assert "decision_id" not in attributes
    await ha.until(lambda states: states["sensor.e2e_answered_on_the_board"]["state"] == "100.0")
    with Image.open(io.BytesIO(await ha.picture("image.e2e_gate"))) as shown:
        assert shown.convert("L").getpixel((0, 0)) < 10
        assert shown.convert("L").getpixel((63, 0)) > 245


async def events_are_shown(ha: HomeAssistant, site: Site) -> None:
    topic = site.product.topics.event
    await site.connection.publish(topic, json.dumps({"event": "drift", "message": "the link"}).encode())
    await site.connection.publish(site.product.topics.mode_set, b"nonsense", qos=1)
    states = await ha.until(
        lambda states: {states[f"event.e2e_{kind}"]["state"] for kind in ("drift", "error")}.isdisjoint(
            {"unknown"}
        )
    )
    assert states["event.e2e_drift"]["attributes"]["message"] == "the link"
    assert states["event.e2e_error"]["attributes"]["code"] == "bad_mode"


async def an_error_is_unknown(ha: HomeAssistant, site: Site) -> None:
    reply = {"id": "1", "error": {"code": "busy", "message": "ask later"}, "camera": "gate"}
    for question in QUESTIONS:
        topic = site.product.topics.camera_answer("gate", question)
        await site.connection.publish(topic, json.dumps(reply).encode(), qos=1)
    entities = (
        "binary_sensor.e2e_gate_open",
        *(f"sensor.e2e_gate_{name}" for name in ("colour", "count", "scene")),
    )
    states = await ha.until(lambda states: {states[name]["state"] for name in entities} == {"unknown"})
    assert {states[name]["attributes"]["error"]["code"] for name in entities} == {"busy"}


async def it_is_unavailable_while_the_agent_is_stopped(ha: HomeAssistant, site: Site) -> None:
    await to_thread.run_sync(site.product.services["agent"].stop)
    await ha.until(lambda states: {state["state"] for state in states.values()} == {"unavailable"})
    service = site.product.start("agent")
    await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
    await ha.until(lambda states: states["select.e2e_mode"]["state"] == "local")


async def what_is_removed_from_the_site_file_disappears(ha: HomeAssistant, site: Site) -> None:
    questions = {name: question for name, question in QUESTIONS.items() if name != "open"}
    site.reload(cameras={"gate": {**CAMERA, "questions": questions}})
    states = await ha.until(lambda states: "binary_sensor.e2e_gate_open" not in states)
    assert states.keys() - IF_REPORTED == BOARD - {"binary_sensor.e2e_gate_open"}
    site.reload(home_assistant={"enabled": False})
    await ha.until(lambda states: not states)
