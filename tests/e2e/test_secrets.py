"""Nothing that a running agent prints, publishes or stores contains a password or a key.

The broker is a mosquitto with a password. One peer refuses its key and repeats it in the error, one repeats
it in every text that it may choose, one repeats it in place of an HTTP reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import yaml
from aiohttp import web

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from agent.standalone.broker import free_port
from product import jpeg

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TOOL = Path(sys.executable).with_name("inarvl")
PASSWORD, KEYS = (
    "marker-pass-5d1f",
    {name: f"marker-{name}-77c0" for name in ("refuses", "repeats", "breaks")},
)
MARKERS = (PASSWORD, *KEYS.values())
TIMEOUT_S = 60


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port, passwords = free_port(), tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "agent", PASSWORD], check=True)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
    )
    process = subprocess.Popen(
        ["mosquitto", "-c", str(tmp_path / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield port
    process.kill()
    process.wait()


async def reply(request: web.Request) -> web.Response:
    """What a peer answers: its key wherever it can."""
    sent = request.headers.get("Authorization", "")
    if request.path.startswith("/refuses"):
        error = {"message": f"your header {sent!r} is not valid", "code": sent, "param": sent}
        return web.json_response({"error": error}, status=401, headers={"Retry-After": sent})
    if request.path.endswith("/models"):
        return web.json_response({"data": [{"id": f"model-{sent.removeprefix('Bearer ')}"}]})
    if request.path.endswith("/chat/completions"):
        text = f"yes, {sent}"
        escaped = "".join(f"\\u{ord(character):04x}" for character in text)
        body = json.dumps({"choices": [{"message": {"content": "TEXT"}}]}).replace("TEXT", escaped)
        return web.Response(text=body, content_type="application/json")
    return web.json_response({"error": {"message": f"no {request.path}: {sent}"}}, status=404)


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Replies with the request's key instead of a status line."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(next((line for line in head.split(b"\r\n") if b"earer" in line), b"") + b"\r\n\r\n")
    await writer.drain()
    writer.close()


@asynccontextmanager
async def peers() -> AsyncIterator[list[dict[str, str]]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    broken = await asyncio.start_server(break_off, "127.0.0.1", 0)
    try:
        yield [
            {"id": "refuses", "url": f"http://127.0.0.1:{port}/refuses"},
            {"id": "repeats", "url": f"http://127.0.0.1:{port}/repeats"},
            {"id": "breaks", "url": f"http://127.0.0.1:{broken.sockets[0].getsockname()[1]}"},
        ]
    finally:
        broken.close()
        await runner.cleanup()


def site_file(folder: Path, port: int, entries: list[dict[str, str]], password: str) -> Path:
    """Writes a site file, with each secret in a file of its own in another folder."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name, secret in {**KEYS, "password": password}.items():
        (secrets / name).write_text(f"{secret}\n")
        (secrets / name).chmod(0o600)
    site = {
        "device": "quiet",
        "broker": {
            "url": f"mqtt://127.0.0.1:{port}",
            "username": "agent",
            "password_file": f"{secrets}/password",
        },
        "local": None,
        "discovery": {"zeroconf": False},
        "probing": {"sight": False},
        "peers": [{**entry, "api_key_file": f"{secrets}/{entry['id']}"} for entry in entries],
        "profile": str(folder / "quick.yaml"),
        "state_dir": str(folder / "state"),
    }
    profile = {"name": "quick", "extends": "generic-x86", "rates": {"telemetry_s": 0.2, "checkpoint_s": 0.5}}
    (folder / "quick.yaml").write_text(yaml.safe_dump(profile))
    (folder / "agent.yaml").write_text(yaml.safe_dump(site))
    return folder / "agent.yaml"


@asynccontextmanager
async def agent(config: Path, log: Path) -> AsyncIterator[None]:
    """Runs the agent, which logs all that it can."""
    command = [str(TOOL), "run", "--verbose", "--log-level", "debug", "--config", str(config)]
    with log.open("wb") as file:
        process = await anyio.open_process(command, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            with anyio.CancelScope(shield=True):
                await process.wait()


async def printed(command: str, config: Path) -> str:
    """What a command prints."""
    arguments = [str(config)] if command == "validate" else ["--config", str(config)]
    ran = await anyio.run_process([str(TOOL), command, *arguments], check=False, env=dict(os.environ))
    return (ran.stdout + ran.stderr).decode()


async def said(log: Path, text: bytes) -> None:
    """Waits until a log has a text."""
    async with await anyio.open_file(log, "rb") as file:
        while text not in await file.read():
            await file.seek(0)
            await anyio.sleep(0.05)


def found_in(content: bytes) -> list[str]:
    return [marker for marker in MARKERS if marker.encode() in content]


async def test_no_secret_is_printed_published_or_stored(broker: int, tmp_path: Path) -> None:
    topics, published, log = Topics("quiet"), list[bytes](), tmp_path / "log"
    options = MqttOptions("127.0.0.1", broker, client_id="all", username="agent", password=PASSWORD)
    async with peers() as entries:
        config = site_file(tmp_path, broker, entries, PASSWORD)
        async with MqttConnection(options, subscriptions=("#",)) as client, agent(config, log):
            answer = b""
            with anyio.fail_after(TIMEOUT_S):
                async for message in client.messages():
                    message.ack()
                    published.append(message.topic.encode() + b" " + message.payload)
                    if b"healthy" in message.payload and b"repeats" in message.payload and not answer:
                        properties = {"question": "is it?", "id": "1"}
                        await client.publish(topics.query, jpeg()[0], qos=1, user=properties)
                    if message.topic.startswith("inarvl/quiet/result"):
                        answer = message.payload
                    if answer and message.topic == topics.telemetry and b"is not valid" in message.payload:
                        break
            output = [await printed(command, config) for command in ("status", "doctor", "validate")]
    stored = {path.name: path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
    assert b"[secret]" in answer
    assert b"your header 'Bearer [secret]' is not valid" in published[-1]
    assert "Bad status line" in log.read_text()
    assert "learned.json" in stored
    assert found_in(b"\n".join(published)) == []
    assert found_in(log.read_bytes()) == []
    assert found_in("".join(output).encode()) == []
    assert {name: found_in(content) for name, content in stored.items() if found_in(content)} == {}


async def test_a_password_that_the_broker_refuses_is_not_printed(broker: int, tmp_path: Path) -> None:
    wrong = PASSWORD[:-1] + "0"
    config, log = site_file(tmp_path, broker, [], wrong), tmp_path / "log"
    async with agent(config, log):
        with anyio.fail_after(TIMEOUT_S):
            await said(log, b"the broker rejects the connection")
        output = [await printed(command, config) for command in ("status", "doctor", "validate")]
    assert wrong.encode() not in log.read_bytes() + "".join(output).encode()
