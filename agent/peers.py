"""The peers that are known, and which of them are well.

1. A peer is known as long as one source (zeroconf, MQTT, the site file) names it.
2. A known peer is checked in turn: ready, and what it serves. One that passes is healthy.
3. A failed check, or a failed call that is reported, makes it unhealthy at once; it is then checked again
   after a delay that doubles with each failure, jittered, and comes back by itself.
4. How many peers are known is capped: what a network announces must not fill the memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
import numpy as np
from anyio.abc import TaskGroup

from cloud.peer import PeerRecord
from vlm.client import ModelCard, Ping, VlmClient
from vlm.errors import VlmError

log = logging.getLogger(__name__)

MOST_PEERS = 32
PROBE_BYTES = 32_768


@dataclass(frozen=True)
class Pace:
    """How often peers are checked, in seconds, and how many checks pass between throughput probes."""

    check_s: float = 5.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    checks_per_probe: int = 12


@dataclass
class Peer:
    """A known peer with the client that talks to it and the models it said it serves."""

    record: PeerRecord
    client: VlmClient
    sources: set[str]
    cards: tuple[ModelCard, ...] = ()
    healthy: bool = False
    failures: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    wake: anyio.Event = field(default_factory=anyio.Event)


class Peers:
    """A registry of peers that keeps itself true.

    Args:
        observe: called with the peer's id and each ping.
        changed: called with the peer's id and a word (found, healthy, unhealthy, gone) for each event.
        keys: API keys by peer id, for those of the site file only.
    """

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        observe: Callable[[str, Ping], None] = lambda _id, _ping: None,
        changed: Callable[[str, str], None] = lambda _id, _word: None,
        keys: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._rng = rng
        self._observe = observe
        self._changed = changed
        self._keys = dict(keys or {})
        self._pace = pace or Pace()
        self._known: dict[str, Peer] = {}
        self._tasks: TaskGroup | None = None

    def known(self) -> tuple[Peer, ...]:
        """Every peer that some source names."""
        return tuple(self._known.values())

    def get(self, peer_id: str) -> Peer | None:
        """The known peer of that id."""
        return self._known.get(peer_id)

    def healthy(self) -> tuple[Peer, ...]:
        """Those that can be asked now."""
        return tuple(peer for peer in self._known.values() if peer.healthy)

    def offer(self, record: PeerRecord, *, source: str) -> None:
        """`source` names a peer; a record that says something new replaces what was known."""
        held = self._known.get(record.id)
        if held is not None and held.record.url == record.url:
            held.sources.add(source)
            return
        if held is not None:
            self._forget(held)
        elif len(self._known) >= MOST_PEERS:
            log.warning("peer %s is not taken in: %d are known already", record.id, MOST_PEERS)
            return
        peer = Peer(record, VlmClient(record.url, api_key=self._keys.get(record.id)), {source})
        self._known[record.id] = peer
        self._changed(record.id, "found")
        if self._tasks is not None:
            self._tasks.start_soon(self._watch, peer)

    def withdraw(self, peer_id: str, *, source: str) -> None:
        """`source` no longer names the peer; it goes when no other does."""
        peer = self._known.get(peer_id)
        if peer is None:
            return
        peer.sources.discard(source)
        if not peer.sources:
            self._forget(peer)
            self._changed(peer_id, "gone")

    def report_failure(self, peer_id: str) -> None:
        """A real call to the peer failed: no more are made until it passes a check."""
        peer = self._known.get(peer_id)
        if peer is not None:
            self._mark(peer, healthy=False)
            peer.wake.set()

    async def run(self) -> None:
        """Check peers for ever."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                for peer in self.known():
                    tasks.start_soon(self._watch, peer)
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    def _forget(self, peer: Peer) -> None:
        del self._known[peer.record.id]
        peer.healthy = False
        peer.scope.cancel()

    async def _watch(self, peer: Peer) -> None:
        try:
            with peer.scope:
                checks = 0
                while True:
                    await self._check(peer, probe=checks % self._pace.checks_per_probe == 0)
                    checks = checks + 1 if peer.healthy else 0
                    peer.wake = anyio.Event()
                    with anyio.move_on_after(self._delay_s(peer)):
                        await peer.wake.wait()
                        await anyio.sleep(self._delay_s(peer))
        finally:
            with anyio.CancelScope(shield=True):
                await peer.client.aclose()

    async def _check(self, peer: Peer, *, probe: bool) -> None:
        try:
            if not peer.healthy:
                if not await peer.client.ready():
                    self._mark(peer, healthy=False)
                    return
                peer.cards = tuple(await peer.client.models())
            self._observe(peer.record.id, await peer.client.ping())
            if probe:
                self._observe(peer.record.id, await peer.client.ping(payload_bytes=PROBE_BYTES))
            self._mark(peer, healthy=True)
        except VlmError as error:
            log.debug("peer %s: %s", peer.record.id, error)
            self._mark(peer, healthy=False)

    def _mark(self, peer: Peer, *, healthy: bool) -> None:
        peer.failures = 0 if healthy else peer.failures + 1
        if peer.healthy != healthy:
            peer.healthy = healthy
            self._changed(peer.record.id, "healthy" if healthy else "unhealthy")

    def _delay_s(self, peer: Peer) -> float:
        if peer.healthy:
            return self._pace.check_s
        doubled = self._pace.first_retry_s * 2 ** min(peer.failures - 1, 16)
        return float(min(doubled, self._pace.longest_retry_s) * self._rng.uniform(0.5, 1.0))
