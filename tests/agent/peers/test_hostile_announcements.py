"""What a stranger announces is checked at the door: it ends nothing, and does not change other peers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import numpy as np
import pytest
from zeroconf import DNSOutgoing, DNSPointer
from zeroconf.asyncio import AsyncZeroconf

from agent.peers import mdns
from agent.peers.access import Access
from agent.peers.address_rules import AddressRules
from agent.peers.mqtt_records import receive_record
from agent.peers.registry import PeerRegistry
from cloud.announce import on_lan
from cloud.peer import SERVICE, TOPIC, PeerRecord
from inarvl.door import Door

pytestmark = pytest.mark.anyio
URLS = {
    "upper-case scheme": "HTTP://x",
    "upper-case socket": "UNIX:/x",
    "empty label": "http://a..b",
    "long label": f"http://{'a' * 64}",
    "long host": "http://" + ".".join(["a" * 60] * 5),
    "only a dot": "http://.",
    "not encodable": "http://a/\ud800",
    "long non-ASCII label": f"http://{'é' * 64}",
    "port 0": "http://x:0",
    "empty port": "http://x:",
    "half an address": "http://[::1",
    "incomplete IPv4": "http://1.2.3",
    "backslash": "http://a\\b",
}


@asynccontextmanager
async def running() -> AsyncIterator[PeerRegistry]:
    peers = PeerRegistry(rng=np.random.default_rng(0), rules=AddressRules(loopback=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peers.run)
        yield peers
        tasks.cancel_scope.cancel()


def retained(peers: PeerRegistry, door: Door, peer_id: str, **fields: object) -> None:
    payload = json.dumps({"id": peer_id, "url": "http://127.0.0.1:1", **fields}).encode()
    receive_record(peers, f"{TOPIC}/{peer_id}", payload, door)


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
async def test_a_record_with_a_url_that_cannot_be_called_is_ignored(url: str) -> None:
    door = Door("peer records")
    async with running() as peers:
        retained(peers, door, "bad", url=url)
        assert not peers.known()
        retained(peers, door, "good")
        assert [peer.record.id for peer in peers.known()] == ["good"]
    assert (door.dropped, door.faults) == (1, 0)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 1000,
        b"[" * 100_000,
        b"9" * 5000,
        b"\xff\xfe[",
        b'{"id": "p", "url": "http://a", "models": [[]]}',
    ],
    ids=["deep", "long", "large number", "half a character", "list of lists"],
)
async def test_a_record_that_is_no_json_object_of_the_schema_is_ignored(payload: bytes) -> None:
    peers, door = PeerRegistry(rng=np.random.default_rng(0)), Door("peer records")
    receive_record(peers, f"{TOPIC}/p", payload, door)
    assert not peers.known()
    assert (door.dropped, door.faults) == (1, 0)


@pytest.mark.parametrize("models", [["m"] * 2, [f"m{n}" for n in range(17)], ["a b"], ["m" * 129], [""]])
async def test_models_of_a_record_are_few_different_and_short(models: list[str]) -> None:
    peers, door = PeerRegistry(rng=np.random.default_rng(0)), Door("peer records")
    retained(peers, door, "p", models=models)
    assert not peers.known()
    assert door.dropped == 1


async def test_a_record_changes_no_peer_of_the_site_file_and_gets_no_key() -> None:
    door = Door("peer records")
    async with running() as peers:
        peers.offer(
            PeerRecord("gpu", "http://127.0.0.1:1"), source="site file", access=Access(("m",), "secret")
        )
        retained(peers, door, "gpu", url="http://127.0.0.1:2")
        (peer,) = peers.known()
        assert (peer.record.url, peer.access.models) == ("http://127.0.0.1:1", ("m",))
        peers.withdraw("gpu", source="site file")
        retained(peers, door, "gpu", url="http://127.0.0.1:2")
        (peer,) = peers.known()
        assert "Authorization" not in peer.client._connection._headers


async def test_a_peer_that_was_announced_first_gets_the_key_and_the_models_of_the_site_file() -> None:
    door = Door("peer records")
    async with running() as peers:
        retained(peers, door, "gpu")
        peers.offer(PeerRecord("gpu", "http://127.0.0.1:1"), source="site file", access=Access((), "secret"))
        (peer,) = peers.known()
        assert peer.client._connection._headers == {"Authorization": "Bearer secret"}
        assert peer.sources == {"mqtt", "site file"}


async def test_strangers_cannot_take_the_place_of_a_peer_of_the_site_file() -> None:
    door = Door("peer records")
    async with running() as peers:
        for number in range(100):
            retained(peers, door, f"p{number}")
        peers.offer(PeerRecord("gpu", "http://127.0.0.1:1"), source="site file", access=Access((), "secret"))
        assert peers.get("gpu") is not None


def pointer(name: str) -> bytes:
    """Returns an mDNS response in which the service points to `name`."""
    packet = DNSOutgoing(0x8400)
    packet.add_answer_at_time(DNSPointer(SERVICE, 12, 1, 4500, name), 0)
    return packet.packets()[0]


async def test_a_pointer_to_a_name_of_another_type_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    good = PeerRecord("good-peer", "http://127.0.0.1:8020")
    network, door, found = AsyncZeroconf(), Door("zeroconf announcements"), anyio.Event()
    await network.zeroconf.async_wait_for_start()

    def on_found(record: PeerRecord) -> None:
        if record.id == good.id:
            found.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            browse = partial(mdns.browse, network=network, door=door)
            tasks.start_soon(browse, on_found, lambda _id: None)
            await anyio.sleep(0.1)
            for name in ("x._other._tcp.local.", "no type", "."):
                network.zeroconf.engine.protocols[0].datagram_received(pointer(name), ("127.0.0.1", 5353))
            while door.dropped < 2:  # noqa: ASYNC110 # the count has no event
                await anyio.sleep(0.02)
            async with on_lan(good):
                await found.wait()
            tasks.cancel_scope.cancel()
    assert door.faults == 0
    assert "no service of _inarvl._tcp.local." in caplog.text
