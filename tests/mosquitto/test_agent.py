"""Cameras ask the real agent behind the protected broker, and get their own answers only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agent import client
from agent.config.settings import Settings, load_settings
from agent.doctor import network
from agent.messages.query import Query
from agent.messages.reply import Refusal
from agent.profile.loading import load_profile
from agent.standalone.service_process import ServiceProcess
from protected_broker import ProtectedBroker, connected, next_message

pytestmark = [pytest.mark.anyio, pytest.mark.root]
START_S, REPLY_S = 120.0, 60.0
DEVICE = "inarvl/gate-3"
QUERY = {"id": "7", "question": "how many?", "image": "bm90IGFuIGltYWdl"}


@pytest.fixture(scope="module")
def site(protected: ProtectedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a running agent without models, which refuses every query."""
    folder = tmp_path_factory.mktemp("gate-3")
    (folder / "password").write_text(protected.passwords["gate-3"])
    broker = {
        "url": f"mqtt://127.0.0.1:{protected.port}",
        "username": "gate-3",
        "password_file": str(folder / "password"),
    }
    content = {"device": "gate-3", "broker": broker, "local": None, "state_dir": str(folder)}
    content |= {"discovery": {"zeroconf": False}, "intake": {"open_topic": False}}
    content["home_assistant"] = {"enabled": True}
    config = folder / "agent.yaml"
    config.write_text(yaml.safe_dump(content))
    tool = str(Path(sys.executable).with_name("inarvl"))
    agent = ServiceProcess("agent", [tool, "run", "--config", str(config)], folder)
    agent.wait_ready(START_S, lambda _status: None)
    yield load_settings(config)
    agent.stop()


async def online(protected: ProtectedBroker) -> None:
    async with connected(protected, "operator", f"{DEVICE}/status") as operator:
        while (await next_message(operator)).payload != b"online":
            pass


async def test_a_camera_is_answered_on_its_own_topic_only(protected: ProtectedBroker, site: Settings) -> None:
    await online(protected)
    own, other, lock = f"{DEVICE}/result/camera-1", f"{DEVICE}/result/camera-2", "zigbee2mqtt/front_door/set"
    async with (
        connected(protected, "camera-1", own) as camera,
        connected(protected, "tester", f"{DEVICE}/result/#", "zigbee2mqtt/#") as tester,
    ):
        for number, response_topic in enumerate((None, other, lock)):
            code = "bad_image" if response_topic is None else "bad_response_topic"
            query = json.dumps({**QUERY, "id": f"{number}", "client": "camera-2"}).encode()
            await camera.publish(f"{DEVICE}/query/camera-1", query, qos=1, response_topic=response_topic)
            reply = json.loads((await next_message(camera)).payload)
            assert (reply["id"], reply["error"]["code"]) == (f"{number}", code)
            assert (await next_message(tester)).topic == own


async def test_the_open_topic_is_not_read(protected: ProtectedBroker, site: Settings) -> None:
    await online(protected)
    async with connected(protected, "operator", f"{DEVICE}/result/#") as operator:
        await operator.publish(f"{DEVICE}/query", json.dumps({**QUERY, "client": "x"}).encode(), qos=1)
        own = json.dumps({**QUERY, "id": "8"}).encode()
        await operator.publish(f"{DEVICE}/query/operator", own, qos=1)
        message = await next_message(operator)
    assert (message.topic, json.loads(message.payload)["id"]) == (f"{DEVICE}/result/operator", "8")


async def test_ask_uses_the_own_topic_of_its_user(protected: ProtectedBroker, site: Settings) -> None:
    await online(protected)
    reply = await client.ask(site, Query("9", "how many?", b"no image"), timeout_s=REPLY_S)
    assert isinstance(reply, Refusal)
    assert reply.id == "9"


async def test_home_assistant_finds_the_agent_and_sets_its_mode(
    protected: ProtectedBroker, site: Settings
) -> None:
    await online(protected)
    found = "homeassistant/device/inarvl_gate-3/config"
    async with (
        connected(protected, "homeassistant", "homeassistant/#") as discovery,
        connected(protected, "homeassistant", f"{DEVICE}/mode/state", client="mode") as home,
    ):
        message = await next_message(discovery)
        mode = json.loads(message.payload)["components"]["mode"]
        assert (message.topic, mode["state_topic"]) == (found, f"{DEVICE}/mode/state")
        assert (await next_message(home)).payload == b"auto"
        await home.publish(mode["command_topic"], b"local", qos=1)
        assert (await next_message(home)).payload == b"local"


async def test_doctor_finds_nothing_wrong(protected: ProtectedBroker, site: Settings) -> None:
    await online(protected)
    (finding,) = await network.broker(site, load_profile("generic-x86"))
    assert finding.verdict == "ok", finding.fact
