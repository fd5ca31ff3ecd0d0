"""The registry knows the peers and which of them are healthy; the server is a fake OpenAI server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest
from aiohttp import web
from anyio import to_thread

from agent.config.peer_settings import DiscoveryTrust
from agent.peers.access import Access
from agent.peers.address_rules import AddressRules
from agent.peers.registry import MAX_PEERS, CheckSchedule, PeerRegistry
from agent.peers.trust import Trust
from agent.standalone.broker import free_port
from cloud.peer import PeerRecord
from inarvl.price import Price, Prices
from vlm.client import Ping

pytestmark = pytest.mark.anyio
ANYONE = Trust(DiscoveryTrust.model_validate("any"))
QUICK = CheckSchedule(check_s=0.05, first_retry_s=0.02, max_retry_s=0.1, checks_per_upload=3)


@asynccontextmanager
async def endpoint(port: int, model: str = "m", metrics: str = "") -> AsyncIterator[None]:
    """Lists one model, as any OpenAI-compatible server does; it has no endpoints for probes."""

    async def get_metrics(_request: web.Request) -> web.Response:
        return web.Response(text=metrics)

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": model, "object": "model"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_get("/metrics", get_metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(peers: PeerRegistry) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peers.run)
        yield
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 # the condition has no event
            await anyio.sleep(0.01)


def registry(**options: object) -> PeerRegistry:
    """A registry that trusts every announcement, also those on loopback."""
    return PeerRegistry(
        rng=np.random.default_rng(0),
        **{"schedule": QUICK, "trust": ANYONE, "rules": AddressRules(loopback=True), **options},  # type: ignore[arg-type]
    )


def record(port: int, peer_id: str = "p") -> PeerRecord:
    return PeerRecord(peer_id, f"http://127.0.0.1:{port}")


async def test_a_peer_is_healthy_while_its_server_runs_and_recovers_when_it_runs_again() -> None:
    port, pings, changes = free_port(), list[Ping](), list[str]()
    peers = registry(
        observe=lambda _id, ping: bool(pings.append(ping)), changed=lambda _id, w: changes.append(w)
    )
    peers.offer(record(port), source="site")
    async with running(peers):
        async with endpoint(port):
            await until(lambda: bool(peers.healthy()))
            assert [card.id for card in peers.healthy()[0].cards] == ["m"]
        await until(lambda: not peers.healthy())
        async with endpoint(port, model="n"):
            await until(lambda: bool(peers.healthy()))
            assert [card.id for card in peers.healthy()[0].cards] == ["n"], "its models are read again"
    assert changes[:4] == ["found", "healthy", "unhealthy", "healthy"]
    assert all(ping.rtt_ms > 0 for ping in pings)


async def test_a_peer_is_unhealthy_after_a_failed_call_until_it_passes_a_check() -> None:
    port = free_port()
    peers = registry()
    async with endpoint(port), running(peers):
        peers.offer(record(port), source="site")
        await until(lambda: bool(peers.healthy()))
        peers.began("p")
        peers.ended("p", "unreachable")
        assert not peers.healthy()
        await until(lambda: bool(peers.healthy()))


async def test_requests_of_other_clients_are_read_from_the_servers_metrics() -> None:
    port, peers = free_port(), registry()
    async with endpoint(port, metrics="llamacpp:requests_deferred 3\n"), running(peers):
        peers.offer(record(port), source="site")
        await until(lambda: bool(peers.healthy()) and peers.healthy()[0].other_requests == 3)
        peers.began("p")
        await until(lambda: peers.healthy()[0].other_requests == 2)


async def test_a_peer_stays_while_any_source_names_it() -> None:
    peers = registry()
    async with running(peers):
        for source in ("zeroconf", "mqtt"):
            peers.offer(record(1), source=source)
        peers.withdraw("p", source="zeroconf")
        assert peers.get("p") is not None
        peers.withdraw("p", source="mqtt")
        assert peers.get("p") is None
        peers.withdraw("p", source="mqtt")


async def test_a_peer_whose_announcement_expired_stays_while_it_answers() -> None:
    port, changes = free_port(), list[str]()
    peers = registry(changed=lambda _id, word: changes.append(word))
    async with running(peers):
        async with endpoint(port):
            peers.offer(record(port), source="zeroconf")
            await until(lambda: bool(peers.healthy()))
            peers.lapse("p", source="zeroconf")
            await anyio.sleep(5 * QUICK.check_s)
            assert peers.healthy()
        await until(lambda: not peers.known())
        peers.offer(record(port), source="zeroconf")
        assert peers.known(), "a new announcement adds it again"
    assert changes[:4] == ["found", "healthy", "unhealthy", "gone"]


async def test_a_lapsed_peer_is_kept_if_it_is_silent_for_a_short_time() -> None:
    port, changes = free_port(), list[str]()
    slow_retries = CheckSchedule(check_s=0.05, first_retry_s=0.5)
    peers = registry(schedule=slow_retries, changed=lambda _id, word: changes.append(word))
    async with running(peers):
        async with endpoint(port):
            peers.offer(record(port), source="zeroconf")
            await until(lambda: bool(peers.healthy()))
            peers.lapse("p", source="zeroconf")
        await until(lambda: "unhealthy" in changes)
        async with endpoint(port):
            await until(lambda: changes[-1] == "healthy")
    assert "gone" not in changes


async def test_a_peer_with_a_new_url_is_called_at_the_new_url() -> None:
    port = free_port()
    peers = registry()
    async with endpoint(port), running(peers):
        peers.offer(record(1), source="mqtt")
        peers.offer(record(port), source="mqtt")
        await until(lambda: bool(peers.healthy()))
        assert [peer.record for peer in peers.known()] == [record(port)]


async def test_the_number_of_known_peers_is_limited() -> None:
    peers = registry()
    async with running(peers):
        for n in range(MAX_PEERS + 10):
            peers.offer(record(1, f"p{n}"), source="zeroconf")
        assert len(peers.known()) == MAX_PEERS


async def test_peers_may_change_while_another_thread_reads_them() -> None:
    """The resolutions of all arms are read in the thread that reads an image."""
    peers = registry()
    stop = threading.Event()
    faults: list[Exception] = []

    def read() -> None:
        while not stop.is_set():
            try:
                peers.healthy()
            except RuntimeError as error:
                faults.append(error)

    async with running(peers):
        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(100):
            for number in range(10):
                peers.offer(record(1, f"p{number}"), source="mqtt")
            for number in range(10):
                peers.withdraw(f"p{number}", source="mqtt")
        stop.set()
        await to_thread.run_sync(reader.join)
    assert faults == []


async def test_announced_prices_apply_to_the_peer_at_that_url_and_stay_when_it_is_configured() -> None:
    registry = PeerRegistry(rng=np.random.default_rng(0), trust=ANYONE)

    def announce(url: str, price: float) -> None:
        record = PeerRecord("p", url, prices=Prices("EUR", (("m", Price(per_call=price)),)))
        registry.offer(record, source="mqtt")

    def price() -> float | None:
        peer = registry.get("p")
        prices = None if peer is None else peer.record.prices
        return None if prices is None else dict(prices.models)["m"].per_call

    announce("http://10.0.0.1:80", 1.0)
    assert price() == 1.0
    announce("http://10.0.0.1:80", 2.0)
    assert price() == 2.0
    registry.offer(PeerRecord("p", "http://10.0.0.1:80"), source="site", access=Access())
    assert price() == 2.0
    announce("http://10.0.0.2:80", 3.0)
    assert price() == 2.0
    announce("http://10.0.0.1:80", 4.0)
    assert price() == 4.0
