"""The yardstick of the agent: a bare MQTT client that replies to every message with a fixed text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import paho.mqtt.client as paho
import typer
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lab.speed.asker import quick_client

TOPIC = "speed/echo"
REPLY = b"x" * 400  # about the size of an answer
READY = b"ready\n"


@contextmanager
def running_echo(port: int) -> Iterator[None]:
    """Runs the client in a process of its own."""
    command = [sys.executable, "-m", "lab.speed.echo", "--port", f"{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main(port: Annotated[int, typer.Option(help="Port of the broker on loopback.")]) -> None:
    """Reply until the process is ended."""

    def reply(client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        asked: Any = message.properties
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = asked.CorrelationData
        client.publish(asked.ResponseTopic, REPLY, qos=1, properties=properties)

    def subscribe(client: paho.Client, *_: Any) -> None:
        client.subscribe(TOPIC, qos=1)

    def ready(*_: Any) -> None:
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()

    client = quick_client()
    client.on_connect = subscribe
    client.on_subscribe = ready
    client.on_message = reply
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    typer.run(main)
