"""The peers that are known, and which of them are well.

1. A peer is known as long as one source (zeroconf, MQTT, the site file) names it; one that only is not heard
   of any more goes when it has failed LAST_TRIES checks in a row as well.
2. A known peer is checked in turn: ready, and what it serves. One that passes is healthy.
3. A failed check makes it unhealthy at once, failed calls when its breaker says so; it is then checked again
   after a delay that doubles with each failure, jittered. A passed check lets a few calls through, and an
   answered one all.
4. How many peers are known is capped: what a network announces must not fill the memory.
5. A check of a healthy peer pings it, and at times uploads something, to measure the path. What the estimate
   is not sure of is probed again after CONFIRM_S, at most CONFIRMATIONS times for each ordinary check. On a
   metered link a healthy peer is not probed at all.
6. It is settled whom there is to ask when every known peer has been checked once, and `naming_s` after the
   start have passed in which sources name peers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.peers.breaker import TRIALS, Breaker, Ended
from cloud.peer import PeerRecord
from vlm.client import ModelCard, Ping, VlmClient
from vlm.errors import VlmError, VlmTimeout

log = logging.getLogger(__name__)

MOST_PEERS = 32
PROBE_BYTES = 32_768
CONFIRM_S = 0.2
CONFIRMATIONS = 3
LAST_TRIES = 6


@dataclass(frozen=True)
class CheckSchedule:
    """How often peers are checked.

    Attributes:
        check_s, first_retry_s, longest_retry_s: seconds between checks of a healthy and of an unhealthy peer.
        checks_per_upload: checks that pass between uploads.
        upload_bytes: size of an upload, 0 for none.
        metered: no probes of a healthy peer.
        trials: calls at a time to a peer whose breaker is half open.
        naming_s: seconds after the start in which peers are found that were there before.
    """

    check_s: float = 5.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    checks_per_upload: int = 12
    upload_bytes: int = PROBE_BYTES
    metered: bool = False
    trials: int = TRIALS
    naming_s: float = 0.0


@dataclass
class Peer:
    """A known peer with the client that talks to it and the models it said it serves."""

    record: PeerRecord
    client: VlmClient
    sources: set[str]
    cards: tuple[ModelCard, ...] = ()
    healthy: bool = False
    checked: bool = False
    failures: int = 0
    confirmations: int = 0
    breaker: Breaker = field(default_factory=Breaker)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    wake: anyio.Event = field(default_factory=anyio.Event)


class PeerRegistry:
    """A registry of peers that keeps itself true.

    Args:
        observe: called with the peer's id and each ping; says whether another should come soon.
        lost: called with the peer's id when a ping got no answer in time.
        changed: called with the peer's id and a word (found, healthy, unhealthy, gone) for each event.
        keys: API keys by peer id, for those of the site file only.
    """

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        observe: Callable[[str, Ping], bool] = lambda _id, _ping: False,
        lost: Callable[[str], None] = lambda _id: None,
        changed: Callable[[str, str], None] = lambda _id, _word: None,
        keys: Mapping[str, str] | None = None,
        pace: CheckSchedule | None = None,
    ) -> None:
        self._rng = rng
        self._observe = observe
        self._lost = lost
        self._changed = changed
        self.keys = dict(keys or {})
        self._pace = pace or CheckSchedule()
        self._known: dict[str, Peer] = {}
        self._tasks: TaskGroup | None = None
        self._named_at = math.inf
        self._settled = False

    def known(self) -> tuple[Peer, ...]:
        """Every peer that some source names."""
        return tuple(self._known.values())

    def get(self, peer_id: str) -> Peer | None:
        """The known peer of that id."""
        return self._known.get(peer_id)

    def healthy(self) -> tuple[Peer, ...]:
        """Those that can be asked now."""
        return tuple(peer for peer in self._known.values() if peer.healthy and peer.breaker.allows())

    def settled(self) -> bool:
        """Whether it is clear who can be asked; it is not just after the start, and then for good."""
        if not self._settled and self._named_at <= anyio.current_time():
            self._settled = all(peer.checked for peer in self._known.values())
        return self._settled

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
        client = VlmClient(record.url, api_key=self.keys.get(record.id))
        peer = Peer(record, client, {source}, breaker=Breaker(self._pace.trials))
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
            self._drop(peer)

    def lapse(self, peer_id: str, *, source: str) -> None:
        """`source` has not heard of the peer for too long; it stays while it answers."""
        peer = self._known.get(peer_id)
        if peer is not None:
            peer.sources.discard(source)
            self._drop_if_lapsed(peer)

    def began(self, peer_id: str) -> None:
        """A call to the peer is under way."""
        if (peer := self._known.get(peer_id)) is not None:
            peer.breaker.began()

    def ended(self, peer_id: str, how: Ended) -> None:
        """A call to the peer is over; when its breaker opens, no more are made until it passes a check."""
        peer = self._known.get(peer_id)
        if peer is None:
            return
        if peer.breaker.ended(how):
            if peer.healthy:
                self._mark(peer, healthy=False)
                peer.wake.set()
        elif how == "late":
            self.look_again(peer_id)

    def look_again(self, peer_id: str) -> None:
        """A real call to the peer was so far from what was expected that its path should be probed."""
        peer = self._known.get(peer_id)
        if peer is not None and peer.healthy and peer.confirmations < CONFIRMATIONS:
            peer.confirmations += 1
            peer.wake.set()

    async def run(self) -> None:
        """Check peers for ever."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._named_at = anyio.current_time() + self._pace.naming_s
                for peer in self.known():
                    tasks.start_soon(self._watch, peer)
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    def _drop_if_lapsed(self, peer: Peer) -> None:
        if not peer.sources and peer.failures >= LAST_TRIES and self._known.get(peer.record.id) is peer:
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        self._forget(peer)
        self._changed(peer.record.id, "gone")

    def _forget(self, peer: Peer) -> None:
        del self._known[peer.record.id]
        peer.healthy = False
        peer.scope.cancel()

    async def _watch(self, peer: Peer) -> None:
        try:
            with peer.scope:
                checks = 0
                while True:
                    peer.wake = anyio.Event()
                    unsure = await self._check(peer, upload=checks % self._pace.checks_per_upload == 0)
                    checks = checks + 1 if peer.healthy else 0
                    if unsure and peer.healthy and peer.confirmations < CONFIRMATIONS:
                        peer.confirmations += 1
                        await anyio.sleep(CONFIRM_S)
                        continue
                    with anyio.move_on_after(self._delay_s(peer)) as waiting:
                        await peer.wake.wait()
                        if not peer.healthy:
                            await anyio.sleep(self._delay_s(peer))
                    if waiting.cancelled_caught:
                        peer.confirmations = 0
        finally:
            with anyio.CancelScope(shield=True):
                await peer.client.aclose()

    async def _check(self, peer: Peer, *, upload: bool) -> bool:
        """Check and probe a peer; whether the path should be probed again soon."""
        unsure = False
        try:
            if not peer.healthy:
                if not await peer.client.ready():
                    self._mark(peer, healthy=False)
                    return False
                peer.cards = tuple(await peer.client.models())
            if not self._pace.metered:
                unsure = self._observe(peer.record.id, await peer.client.ping())
                if self._pace.upload_bytes and (upload or unsure):
                    ping = await peer.client.ping(payload_bytes=self._pace.upload_bytes)
                    unsure = self._observe(peer.record.id, ping)
            self._mark(peer, healthy=True)
        except VlmTimeout as error:
            log.debug("peer %s: %s", peer.record.id, error)
            self._lost(peer.record.id)
            self._mark(peer, healthy=False)
        except VlmError as error:
            log.debug("peer %s: %s", peer.record.id, error)
            self._mark(peer, healthy=False)
        return unsure

    def _mark(self, peer: Peer, *, healthy: bool) -> None:
        peer.checked = True
        peer.failures = peer.breaker.opened if healthy else max(peer.failures, peer.breaker.opened) + 1
        if healthy:
            peer.breaker.probed()
        if peer.healthy != healthy:
            peer.healthy = healthy
            self._changed(peer.record.id, "healthy" if healthy else "unhealthy")
        self._drop_if_lapsed(peer)

    def _delay_s(self, peer: Peer) -> float:
        if peer.healthy:
            return math.inf if self._pace.metered else self._pace.check_s
        doubled = self._pace.first_retry_s * 2 ** min(max(0, peer.failures - 1), 16)
        return float(min(doubled, self._pace.longest_retry_s) * self._rng.uniform(0.5, 1.0))
