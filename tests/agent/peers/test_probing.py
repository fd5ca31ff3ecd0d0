"""Estimates follow a path that changes, with real probes over an emulated link (lab.rig.wan_emulator).

The peer is a fake that answers probes with a Server-Timing header, as the product's own server does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
from aiohttp import web

from agent.peers.access import Access
from agent.peers.network_path import Paths
from agent.peers.registry import CONFIRMATIONS, CheckSchedule, PeerRegistry
from agent.standalone.broker import free_port
from cloud.peer import PeerRecord
from controller.context import LinkState
from lab.rig.wan_emulator import WanConditions, WanEmulator
from vlm.client import Ping
from vlm.timing import Timing

pytestmark = pytest.mark.anyio
PEER = "far"
PROBES = 3
TICK_S = 0.005


@dataclass
class Far:
    """A peer behind a path that can change.

    Attributes:
        after: the estimate after each probe, by the kind of probe.
        stalled_ms: time in all in which the event loop could not run.
    """

    wan: WanEmulator
    paths: Paths = field(default_factory=Paths)
    server_ms: float = 0.0
    hangs: bool = False
    requests: int = 0
    stalled_ms: float = 0.0
    after: dict[str, list[LinkState]] = field(default_factory=lambda: {"ping": [], "upload": []})

    def observe(self, peer: str, ping: Ping) -> bool:
        unsure = self.paths.observe(peer, ping)
        self.after["upload" if ping.sent_bytes else "ping"].append(self.paths.to(peer).state())
        return unsure

    async def after_change(self, kind: str, path: WanConditions) -> list[LinkState]:
        """Changes the path; returns the estimates after each of the next PROBES probes of that kind."""
        self.wan.path = path
        await self._next(kind, 1)  # it may have started before the change
        before = len(self.after[kind])
        await self._next(kind, PROBES)
        return self.after[kind][before : before + PROBES]

    async def settled(self, kind: str, probes: int = 12) -> LinkState:
        await self._next(kind, probes)
        return self.after[kind][-1]

    async def watch_stalls(self) -> None:
        """Adds up the time in which other programs keep the event loop from running."""
        while True:
            before = time.monotonic()
            await anyio.sleep(TICK_S)
            late_s = time.monotonic() - before - TICK_S
            self.stalled_ms += 1e3 * late_s if late_s > TICK_S else 0.0

    async def _next(self, kind: str, probes: int) -> None:
        wanted = len(self.after[kind]) + probes
        await until(lambda: len(self.after[kind]) >= wanted)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 # the condition has no event
            await anyio.sleep(0.01)


def app(far: Far) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        far.requests += 1
        await request.read()
        await asyncio.sleep(3600 if far.hangs else far.server_ms / 1e3)
        models = {"object": "list", "data": [{"id": "m", "object": "model"}]}
        return web.json_response(models, headers={"Server-Timing": Timing(0, far.server_ms).to_header()})

    application = web.Application()
    for path in ("/healthz", "/readyz", "/v1/models", "/probe"):
        application.router.add_route("*", path, answer)
    return application


@asynccontextmanager
async def probed(
    path: WanConditions, *, check_s: float = 0.05, metered: bool = False
) -> AsyncIterator[tuple[Far, PeerRegistry]]:
    far, port = Far(WanEmulator(path)), free_port()
    runner = web.AppRunner(app(far))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    schedule = CheckSchedule(check_s=check_s, checks_per_upload=2, metered=metered)
    peers = PeerRegistry(
        rng=np.random.default_rng(0), observe=far.observe, lost=far.paths.lost, schedule=schedule
    )
    async with far.wan.to(port) as near, anyio.create_task_group() as tasks:
        peers.offer(PeerRecord(PEER, f"http://127.0.0.1:{near}"), source="test", access=Access())
        tasks.start_soon(peers.run)
        tasks.start_soon(far.watch_stalls)
        yield far, peers
        tasks.cancel_scope.cancel()
    await runner.cleanup()


async def test_the_estimate_follows_the_round_trip_within_three_probes() -> None:
    """The emulator adds at least the configured delay; the delay that a busy machine adds is measured."""
    async with probed(WanConditions(40, 50)) as (far, _):
        await far.settled("ping")
        for rtt_ms, max_ms in ((500, 1000), (40, 250)):
            before_ms = far.stalled_ms
            *_, last = await far.after_change("ping", WanConditions(rtt_ms, 50))
            assert last.rtt_ms is not None
            assert 0.95 * rtt_ms <= last.rtt_ms < max_ms + far.stalled_ms - before_ms


async def test_the_estimate_follows_the_rate_within_three_uploads() -> None:
    async with probed(WanConditions(40, 10)) as (far, _):
        before = await far.settled("upload")
        *_, last = await far.after_change("upload", WanConditions(40, 0.5))
        assert before.uplink_mbps is not None
        assert last.uplink_mbps is not None
        assert last.uplink_mbps < 1 < before.uplink_mbps


async def test_a_slow_peer_does_not_change_the_estimate_of_the_path() -> None:
    async with probed(WanConditions(40, 50)) as (far, _):
        before = await far.settled("ping")
        far.server_ms, before_ms = 400, far.stalled_ms
        after = await far.settled("ping", 4)
        assert before.rtt_ms is not None
        assert after.rtt_ms is not None
        assert after.rtt_ms < before.rtt_ms + 200 + far.stalled_ms - before_ms


async def test_lost_segments_are_counted_as_losses() -> None:
    async with probed(WanConditions(20, 50)) as (far, _):
        before = await far.settled("ping")
        far.wan.path = WanConditions(20, 50, loss=0.1)
        assert before.loss is not None
        await until(lambda: (far.after["ping"][-1].loss or 0.0) > before.loss + 0.02)


async def test_a_changed_path_is_probed_again_before_the_next_check() -> None:
    """With an hour between checks, one call of probe_soon is enough to measure the new round trip."""
    async with probed(WanConditions(20, 50), check_s=3600) as (far, peers):
        await until(lambda: len(far.after["upload"]) == 1)
        far.wan.path = WanConditions(300, 50)
        peers.probe_soon(PEER)
        await until(lambda: (far.after["ping"][-1].rtt_ms or 0.0) > 200)


async def test_the_number_of_probes_is_limited_if_many_answers_are_late() -> None:
    async with probed(WanConditions(1, 50), check_s=3600) as (far, peers):
        await until(lambda: bool(far.after["upload"]))
        for _ in range(100):
            peers.probe_soon(PEER)
            await anyio.sleep(0.005)
        assert len(far.after["ping"]) <= 1 + CONFIRMATIONS


async def test_a_healthy_peer_is_not_probed_over_a_metered_link() -> None:
    async with probed(WanConditions(1, 50), metered=True) as (far, peers):
        await until(lambda: bool(peers.healthy()))
        requests = far.requests
        await anyio.sleep(0.3)  # the time of six checks
        assert far.requests == requests
        assert far.after == {"ping": [], "upload": []}
        peers.began(PEER)
        peers.ended(PEER, "unreachable")
        await until(lambda: far.requests > requests and bool(peers.healthy()))
