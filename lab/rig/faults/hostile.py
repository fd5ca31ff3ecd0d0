"""Faults that a hostile or faulty remote causes: feedback, peer records, and peers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random

import anyio

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from cloud.peer import TOPIC as PEERS
from cloud.peer import PeerRecord
from lab.errors import BenchError
from lab.rig.deployment import TOPICS
from lab.rig.faults.injector import FaultInjector
from lab.rig.fuzz import feedback, records
from lab.rig.fuzz.mutation import Mutator
from lab.rig.hostile.cases import CASES
from lab.rig.hostile.server import HostileServer

DEEP = b"[" * 1000
URLS = ("HTTP://x", "UNIX:/x", "http://a..b", f"http://{'a' * 64}")
REFUSING = ("no-key", "no-credit", "forbidden", "no-quota")
ATTACK_S, PAUSE_S = 15.0, 0.02
BATCH, BATCH_S = 12, 5.0
MOST_ASKED = 2  # by one refusing peer: calls may be in flight when the first is refused


async def hostile_feedback(injector: FaultInjector) -> None:
    """Sends invalid feedback with QoS 1, fifty messages per second."""
    async with _unharmed(injector), _client(injector) as mqtt:
        await mqtt.publish(TOPICS.feedback, DEEP, qos=1)
        mutator, rng = _mutator(injector)
        with anyio.move_on_after(ATTACK_S):
            while True:
                await mqtt.publish(TOPICS.feedback, feedback.DOOR.make(mutator, rng), qos=1)
                await anyio.sleep(PAUSE_S)


async def hostile_record(injector: FaultInjector) -> None:
    """Retains invalid peer records, and restarts the agent while they are on the broker."""
    names = [f"p{number}" for number in range(100)]
    async with _client(injector) as mqtt:
        async with _unharmed(injector):
            for name, url in zip(names, URLS, strict=False):
                payload = f'{{"id": "{name}", "url": "{url}"}}'.encode()
                await mqtt.publish(f"{PEERS}/{name}", payload, qos=1, retain=True)
            await mqtt.publish(f"{PEERS}/{names[len(URLS)]}", DEEP, qos=1, retain=True)
            mutator, rng = _mutator(injector)
            with anyio.move_on_after(ATTACK_S):
                while True:
                    topic = f"{PEERS}/{rng.choice(names[len(URLS) + 1 :])}"
                    payload = records.DOOR.make(mutator, rng)
                    await mqtt.publish(topic, payload[:100_000], qos=1, retain=True)
                    await anyio.sleep(PAUSE_S)
        injector.deployment.kill("agent")
        await injector.restart("agent")
        async with _unharmed(injector):
            await anyio.sleep(5)
        await _withdraw(mqtt, names)


async def hostile_peer(injector: FaultInjector) -> None:
    """Announces peers whose replies are invalid, long, deep, late or missing."""
    server = HostileServer(CASES, injector.deployment.layout.address)
    names = list(CASES)
    async with _unharmed(injector), _client(injector) as mqtt, server.running():
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            await _announce(mqtt, server, batch)
            await anyio.sleep(BATCH_S)
            await _withdraw(mqtt, batch)


async def refusing_peer(injector: FaultInjector) -> None:
    """Announces peers that refuse the agent: no key, no credit, no permission, no quota.

    Raises:
        BenchError: One of them was asked again and again.
    """
    server = HostileServer(CASES, injector.deployment.layout.address)
    async with _unharmed(injector), _client(injector) as mqtt, server.running():
        await _announce(mqtt, server, REFUSING)
        await anyio.sleep(2 * ATTACK_S)
        await _withdraw(mqtt, REFUSING)
    if any(server.asked[name] > MOST_ASKED for name in REFUSING):
        raise BenchError(f"refusing peers were asked again and again: {dict(server.asked)}")


@asynccontextmanager
async def _unharmed(injector: FaultInjector) -> AsyncIterator[None]:
    """Checks that the agent's process survives the block.

    Raises:
        BenchError: It has ended.
    """
    process = injector.agent
    await anyio.sleep(3)
    yield
    await anyio.sleep(3)
    if not process.is_running() or process.status() == "zombie":
        raise BenchError("the agent has ended: see its log")


@asynccontextmanager
async def _client(injector: FaultInjector) -> AsyncIterator[MqttConnection]:
    layout = injector.deployment.layout
    options = MqttOptions(layout.address, layout.broker_port, client_id=f"stranger-{uuid.uuid4().hex[:8]}")
    async with MqttConnection(options) as mqtt:
        await mqtt.connected.wait()
        yield mqtt


def _mutator(injector: FaultInjector) -> tuple[Mutator, Random]:
    rng = Random(int(injector.rng.integers(2**31)))
    return Mutator(rng), rng


async def _announce(mqtt: MqttConnection, server: HostileServer, names: Iterable[str]) -> None:
    for name in names:
        record = PeerRecord(name, server.url(name))
        await mqtt.publish(f"{PEERS}/{name}", record.to_bytes(), qos=1, retain=True)


async def _withdraw(mqtt: MqttConnection, names: Iterable[str]) -> None:
    for name in names:
        await mqtt.publish(f"{PEERS}/{name}", b"", qos=1, retain=True)
