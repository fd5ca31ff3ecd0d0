"""Peers are discovered by real zeroconf, and by records that a real broker retains."""

from __future__ import annotations

import errno
import uuid
from functools import partial
from pathlib import Path

import anyio
import numpy as np
import pytest
from zeroconf import RecordUpdate, current_time_millis
from zeroconf.asyncio import AsyncZeroconf

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.peers import announced_services, mdns
from agent.peers.address_rules import AddressRules
from agent.peers.announced_services import Policy
from agent.peers.mqtt_records import receive_record
from agent.peers.registry import PeerRegistry
from agent.standalone.broker import broker
from cloud.announce import on_broker, on_lan
from cloud.peer import TOPIC as PEERS
from cloud.peer import PeerRecord
from inarvl.door import Door
from inarvl.network_interfaces import NetworkInterface, network_interfaces

pytestmark = pytest.mark.anyio


def announced() -> PeerRecord:
    return PeerRecord(f"peer-{uuid.uuid4().hex[:12]}", "http://127.0.0.1:8020", ("small", "large"))


async def test_a_peer_on_the_lan_is_found_and_its_goodbye_is_received() -> None:
    record = announced()
    found, gone = anyio.Event(), anyio.Event()

    def on_found(other: PeerRecord) -> None:
        if other.id == record.id:
            assert other == record
            found.set()

    def on_gone(other: PeerRecord) -> None:
        if other.id == record.id:
            gone.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mdns.browse, on_found, on_gone)
            async with on_lan(record):
                await found.wait()
            await gone.wait()
            tasks.cancel_scope.cancel()


async def test_a_failed_scan_of_the_interfaces_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    record, scans, found = announced(), 0, anyio.Event()
    monkeypatch.setattr(mdns, "RESCAN_S", 0.05)

    def fail_at_first() -> tuple[NetworkInterface, ...]:
        nonlocal scans
        scans += 1
        if scans == 1:
            raise OSError(errno.EMFILE, "too many open files")
        return network_interfaces()

    monkeypatch.setattr(mdns, "network_interfaces", fail_at_first)
    with anyio.fail_after(60):
        async with on_lan(record), anyio.create_task_group() as tasks:
            tasks.start_soon(
                mdns.browse, lambda other: found.set() if other.id == record.id else None, lambda _id: None
            )
            await found.wait()
            tasks.cancel_scope.cancel()


async def test_a_peer_whose_announcement_expired_has_lapsed_and_is_not_gone() -> None:
    record = announced()
    found, lapsed = anyio.Event(), anyio.Event()
    network = AsyncZeroconf()

    def on_found(other: PeerRecord) -> None:
        if other.id == record.id:
            found.set()

    def on_gone(other: PeerRecord) -> None:
        assert other.id != record.id

    def on_lapsed(other: PeerRecord) -> None:
        if other.id == record.id:
            lapsed.set()

    async with on_lan(record), anyio.create_task_group() as tasks:
        tasks.start_soon(partial(mdns.browse, on_found, on_gone, on_lapsed, network=network))
        with anyio.fail_after(60):
            await found.wait()
            expire_all(network)
            await lapsed.wait()
        tasks.cancel_scope.cancel()


def expire_all(network: AsyncZeroconf) -> None:
    """Expires all announcements, as zeroconf's own cleanup does later."""
    future_ms = current_time_millis() + 1e3 * 100_000
    records, cache = network.zeroconf.record_manager, network.zeroconf.cache
    records.async_updates(future_ms, [RecordUpdate(old, old) for old in cache.async_expire(future_ms)])
    records.async_updates_complete(False)


async def test_the_details_of_a_peer_are_requested_again_if_they_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, requests, resolve = announced(), 0, announced_services.resolve
    found = anyio.Event()

    async def lossy(network: AsyncZeroconf, name: str, policy: Policy) -> PeerRecord | None:
        nonlocal requests
        if not name.startswith(record.id):
            return None
        requests += 1
        return None if requests < 3 else await resolve(network, name, policy)

    def on_found(other: PeerRecord) -> None:
        assert other == record
        found.set()

    monkeypatch.setattr(announced_services, "resolve", lossy)
    monkeypatch.setattr(announced_services, "FIRST_PAUSE_S", 0.01)
    async with on_lan(record), anyio.create_task_group() as tasks:
        tasks.start_soon(mdns.browse, on_found, lambda _id: None)
        with anyio.fail_after(60):
            await found.wait()
        tasks.cancel_scope.cancel()
    assert requests >= 3


async def test_a_service_that_changes_while_it_is_resolved_is_reported_once_with_its_last_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first request is answered already when the service changes."""
    answers = [PeerRecord("p", "http://127.0.0.1:1"), PeerRecord("p", "http://127.0.0.1:2")]
    reported: list[PeerRecord] = []

    async def resolve(*_: object) -> PeerRecord:
        record = answers.pop(0)
        if answers:
            services.follow("service")
        return record

    monkeypatch.setattr(announced_services, "resolve", resolve)
    async with anyio.create_task_group() as tasks:
        services = announced_services.AnnouncedServices(
            None,  # type: ignore[arg-type]
            tasks,
            reported.append,
            lambda _record: None,
            Door("d"),
            Policy(),
        )
        services.follow("service")
    assert [record.url for record in reported] == ["http://127.0.0.1:2"]


async def test_a_record_on_the_broker_is_found_and_removed_when_the_peer_leaves(tmp_path: Path) -> None:
    record = announced()
    with broker(tmp_path) as (_, port):
        peers = PeerRegistry(rng=np.random.default_rng(0), rules=AddressRules(loopback=True))
        link = MqttConnection(MqttOptions("127.0.0.1", port), subscriptions=(f"{PEERS}/+",))
        with anyio.fail_after(60):
            async with link:
                messages = link.messages()
                async with on_broker(record, f"mqtt://127.0.0.1:{port}"):
                    message = await anext(messages)
                    receive_record(peers, message.topic, message.payload)
                    assert [peer.record for peer in peers.known()] == [record]
                message = await anext(messages)
                receive_record(peers, message.topic, message.payload)
                assert not peers.known()


@pytest.mark.parametrize("payload", [b"{", b"{}", PeerRecord("other", "http://a:1").to_bytes()])
def test_an_invalid_record_is_ignored(payload: bytes) -> None:
    peers = PeerRegistry(rng=np.random.default_rng(0))
    receive_record(peers, f"{PEERS}/p", payload)
    assert not peers.known()
