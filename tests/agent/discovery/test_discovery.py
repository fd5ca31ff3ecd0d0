"""Peers are found where they announce themselves: real zeroconf, and records retained on a real broker."""

from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import numpy as np
import pytest

from agent.discovery import mdns, records
from agent.mqtt import MqttLink, MqttOptions
from agent.peers import Peers
from agent.topics import PEERS
from cloud.announce import on_broker, on_lan
from cloud.peer import PeerRecord
from demo.broker import broker

pytestmark = pytest.mark.anyio


def announced() -> PeerRecord:
    return PeerRecord(f"peer-{uuid.uuid4().hex[:12]}", "http://127.0.0.1:8020", ("small", "large"))


async def test_a_peer_on_the_lan_is_found_and_its_goodbye_is_heard() -> None:
    record = announced()
    found, gone = anyio.Event(), anyio.Event()

    def on_found(seen: PeerRecord) -> None:
        if seen.id == record.id:
            assert seen == record
            found.set()

    def on_gone(peer_id: str) -> None:
        if peer_id == record.id:
            gone.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mdns.browse, on_found, on_gone)
            async with on_lan(record):
                await found.wait()
            await gone.wait()
            tasks.cancel_scope.cancel()


async def test_a_record_on_the_broker_is_found_and_cleared_on_leaving(tmp_path: Path) -> None:
    record = announced()
    with broker(tmp_path) as (_, port):
        peers = Peers(rng=np.random.default_rng(0))
        link = MqttLink(MqttOptions("127.0.0.1", port), subscriptions=(f"{PEERS}/+",))
        with anyio.fail_after(30):
            async with link:
                messages = link.messages()
                async with on_broker(record, f"mqtt://127.0.0.1:{port}"):
                    message = await anext(messages)
                    records.take(peers, message.topic, message.payload)
                    assert [peer.record for peer in peers.known()] == [record]
                message = await anext(messages)
                records.take(peers, message.topic, message.payload)
                assert not peers.known()


@pytest.mark.parametrize("payload", [b"{", b"{}", PeerRecord("other", "http://a:1").to_bytes()])
def test_a_bad_record_is_ignored(payload: bytes) -> None:
    peers = Peers(rng=np.random.default_rng(0))
    records.take(peers, f"{PEERS}/p", payload)
    assert not peers.known()
