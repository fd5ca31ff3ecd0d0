"""Keeps the known peers, and checks which of them are healthy.

1. A peer is known as long as one source (zeroconf, MQTT, the site file) names it. A peer whose announcement
   expired is dropped only after it has also failed LAST_TRIES checks in a row.
2. A check of an unhealthy peer asks whether it is ready, and which models it serves. A peer that passes is
   healthy.
3. A failed check makes a peer unhealthy. So do failed calls that open its breaker. It is then checked again
   after a jittered delay that doubles with each failure. After a passed check the breaker allows a few calls,
   and after an answered call all.
4. A peer that refuses the caller (key, permission, credit, quota) rests: it is checked again after
   a minute, and four times later with each further refusal, up to an hour. Reading the site file again ends
   the rest. If it refuses one of its models only, that model is not asked.
5. The number of known peers is limited: announcements from the network must not fill the memory.
6. A check also pings the peer, reads the requests of its other clients (`vlm.server_load`), and at intervals
   uploads some bytes. An unsure estimate of the path is probed again after CONFIRM_S, at most CONFIRMATIONS
   times per ordinary check. On a metered link there is none of this, and a healthy peer is not checked.
7. After a passed check, models that were not tested yet are tested for sight in the background, and removed
   if they do not see: see `agent.peers.sight`.
8. Announcements do not change a peer that the site file names. Only such a peer gets an API key.
9. The registry is settled when every known peer has been checked once, and `naming_s` seconds have passed
   since the start, in which the sources name their peers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.peers.breaker import Breaker, Ended
from agent.peers.peer import CheckSchedule, Peer
from agent.peers.sight import Sight
from cloud.peer import PeerRecord
from inarvl.door import Door, short
from vlm.client import Ping, VlmClient
from vlm.errors import VlmDenied, VlmError, VlmTimeout

log = logging.getLogger(__name__)

MAX_PEERS = 32
CONFIRM_S = 0.2
CONFIRMATIONS = 3
LAST_TRIES = 6
MAX_PROBLEM = 300


class PeerRegistry:
    """Keeps the peers of one tier, and checks them.

    Args:
        observe: called with the peer's id and each ping; returns whether another should follow soon.
        lost: called with the peer's id when a ping got no answer in time.
        changed: called with the peer's id and its new state: found, healthy, unhealthy, refused (it refuses
            the caller), blind (one of its models was found not to see), gone.
        keys: API keys by peer id, for configured peers only.
        door: guards the announcements and the replies of the peers.
    """

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        observe: Callable[[str, Ping], bool] = lambda _id, _ping: False,
        lost: Callable[[str], None] = lambda _id: None,
        changed: Callable[[str, str], None] = lambda _id, _state: None,
        keys: Mapping[str, str] | None = None,
        door: Door | None = None,
        schedule: CheckSchedule | None = None,
    ) -> None:
        self._rng = rng
        self._observe = observe
        self._lost = lost
        self._changed = changed
        self.keys = dict(keys or {})
        self._schedule = schedule or CheckSchedule()
        self._door = door or Door("peers")
        self._sight = Sight()
        self._known: dict[str, Peer] = {}  # replaced and never changed, because other threads read it
        self._tasks: TaskGroup | None = None
        self._named_at = math.inf
        self._settled = False

    def known(self) -> tuple[Peer, ...]:
        """Returns the known peers, healthy or not."""
        return tuple(self._known.values())

    def get(self, peer_id: str) -> Peer | None:
        """Returns the known peer with that id; None if there is none."""
        return self._known.get(peer_id)

    def healthy(self) -> tuple[Peer, ...]:
        """Returns the peers that can be asked now."""
        return tuple(peer for peer in self._known.values() if peer.healthy and peer.breaker.allows())

    def settled(self) -> bool:
        """Returns whether the peers that can be asked are known; does not become false again."""
        if not self._settled and self._named_at <= anyio.current_time():
            self._settled = all(peer.checked for peer in self._known.values())
        return self._settled

    def offer(self, record: PeerRecord, *, source: str, models: tuple[str, ...] | None = None) -> None:
        """Adds a peer that `source` names; a record with another URL replaces the known peer.

        Args:
            models: the only models to use, empty for all, if `source` configures the peer; None if it
                announces the peer.
        """
        known = self._known.get(record.id)
        configures = models is not None
        if known is not None and known.record.url == record.url:
            same_models = known.configured_by == source and known.models == models
            if not configures or same_models:
                known.sources.add(source)
            else:
                self._replace(known, record, {*known.sources, source}, source, models or ())
        elif known is not None and known.configured_by not in (None, source):
            self._door.drop(f"the record of {record.id}", "the site file has another URL for this peer")
        elif known is None and not configures and len(self._known) >= MAX_PEERS:
            self._door.drop(f"the record of {record.id}", f"{MAX_PEERS} peers are known already")
        else:
            self._replace(known, record, {source}, source if configures else None, models or ())

    def withdraw(self, peer_id: str, *, source: str) -> None:
        """Records that `source` no longer names the peer; drops it if no other source does."""
        peer = self._known.get(peer_id)
        if peer is None:
            return
        peer.sources.discard(source)
        if not peer.sources:
            self._drop(peer)
        elif peer.configured_by == source:
            self._replace(peer, peer.record, peer.sources, None, ())

    def lapse(self, peer_id: str, *, source: str) -> None:
        """Records that the announcement by `source` expired; the peer stays while it answers."""
        peer = self._known.get(peer_id)
        if peer is not None:
            peer.sources.discard(source)
            self._drop_if_lapsed(peer)

    def began(self, peer_id: str) -> None:
        """Records that a call to the peer has begun."""
        if (peer := self._known.get(peer_id)) is not None:
            peer.breaker.began()

    def ended(self, peer_id: str, how: Ended, problem: str = "a call failed", *, question: str = "") -> None:
        """Records how a call ended; if that opens the breaker, the peer is unhealthy until a passed check.

        Args:
            problem: why the call failed, if it did.
            question: identifies the question of the call.
        """
        peer = self._known.get(peer_id)
        if peer is None:
            return
        if peer.breaker.ended(how, question):
            if peer.healthy:
                self._mark(peer, problem)
                peer.wake.set()
        elif how == "late":
            self.probe_soon(peer_id)

    def denied(self, peer_id: str, model: str, problem: str) -> None:
        """Records that the server refuses one of its models to the caller."""
        peer = self._known.get(peer_id)
        if peer is not None and not peer.denies(model):
            log.warning(
                "model %s of server %s cannot be used: %s", model, peer_id, short(problem, MAX_PROBLEM)
            )
            peer.deny(model)
            self._changed(peer_id, "refused")

    def reconfigure(self, keys: Mapping[str, str]) -> None:
        """Uses the keys of a site file that was read again, and ends the rest of peers that refused."""
        before, self.keys = self.keys, dict(keys)
        for peer in self.known():
            name = peer.record.id
            if peer.configured_by is not None and before.get(name) != self.keys.get(name):
                self._replace(peer, peer.record, peer.sources, peer.configured_by, peer.models)
                continue
            peer.denied_models.clear()
            if peer.breaker.refusals:
                peer.breaker.refusals = 0
                peer.wake.set()

    def resting(self) -> list[tuple[Peer, float]]:
        """Returns the unhealthy peers, and the seconds until each is checked again."""
        now = anyio.current_time()
        unhealthy = (peer for peer in self._known.values() if not peer.healthy)
        return [(peer, max(0.0, (peer.next_check_at or now) - now)) for peer in unhealthy]

    def probe_soon(self, peer_id: str) -> None:
        """Probes the path before the next check is due, because a real call was far from the estimate."""
        peer = self._known.get(peer_id)
        if peer is not None and peer.healthy and peer.confirmations < CONFIRMATIONS:
            peer.confirmations += 1
            peer.wake.set()

    async def run(self) -> None:
        """Checks peers until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._named_at = anyio.current_time() + self._schedule.naming_s
                for peer in self.known():
                    tasks.start_soon(self._watch, peer)
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    def _replace(
        self,
        known: Peer | None,
        record: PeerRecord,
        sources: Iterable[str],
        configured_by: str | None,
        models: tuple[str, ...],
    ) -> None:
        if known is not None:
            self._forget(known)
        key = self.keys.get(record.id) if configured_by is not None else None
        peer = Peer(
            record,
            VlmClient(record.url, api_key=key, models=models),
            set(sources),
            configured_by,
            models,
            breaker=Breaker(self._schedule.trials),
        )
        self._known = {**self._known, record.id: peer}
        self._changed(record.id, "found")
        if self._tasks is not None:
            self._tasks.start_soon(self._watch, peer)

    def _drop_if_lapsed(self, peer: Peer) -> None:
        if not peer.sources and peer.failures >= LAST_TRIES and self._known.get(peer.record.id) is peer:
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        self._forget(peer)
        self._changed(peer.record.id, "gone")

    def _forget(self, peer: Peer) -> None:
        self._known = {name: other for name, other in self._known.items() if other is not peer}
        peer.healthy = False
        peer.scope.cancel()

    async def _watch(self, peer: Peer) -> None:
        try:
            with peer.scope:
                async with anyio.create_task_group() as background:
                    await self._check_repeatedly(peer, background)
        finally:
            with anyio.CancelScope(shield=True):
                await peer.client.aclose()

    async def _check_repeatedly(self, peer: Peer, background: TaskGroup) -> None:
        checks = 0
        while True:
            peer.wake = anyio.Event()
            unsure = await self._check(peer, upload=checks % self._schedule.checks_per_upload == 0)
            checks = checks + 1 if peer.healthy else 0
            if checks == 1 and self._schedule.sight:
                background.start_soon(self._test_sight, peer)
            if unsure and peer.healthy and peer.confirmations < CONFIRMATIONS:
                peer.confirmations += 1
                await anyio.sleep(CONFIRM_S)
                continue
            if peer.healthy and not await self._pause(peer):
                peer.confirmations = 0
            if not peer.healthy:
                peer.wake = anyio.Event()
                await self._pause(peer)

    async def _pause(self, peer: Peer) -> bool:
        """Waits until the next check is due; returns whether it was requested before."""
        delay_s = self._schedule.delay_s(peer, self._rng)
        peer.next_check_at = anyio.current_time() + delay_s
        with anyio.move_on_after(delay_s) as waiting:
            await peer.wake.wait()
        return not waiting.cancelled_caught

    async def _test_sight(self, peer: Peer) -> None:
        def drop_blind() -> None:
            peer.cards = self._sight.seeing(peer.record.url, peer.cards)
            self._changed(peer.record.id, "blind")

        with self._door.guard(f"an answer of {peer.record.id}"):
            try:
                await self._sight.test(peer.record.url, peer.client, peer.cards, drop_blind)
            except VlmDenied as error:
                if peer.breaker.open(refused=True) and peer.healthy:
                    self._mark(peer, str(error))
                    peer.wake.set()

    async def _check(self, peer: Peer, *, upload: bool) -> bool:
        """Checks and probes a peer; returns whether the path should be probed again soon."""
        problem: str | None = "its reply met a fault of inarvl: see the log"
        unsure = False
        with self._door.guard(f"a reply of {peer.record.id}"):
            try:
                unsure = await self._probe(peer, upload=upload)
                problem = None
            except VlmError as error:
                problem = str(error)
                if isinstance(error, VlmTimeout):
                    self._lost(peer.record.id)
                if isinstance(error, VlmDenied):
                    peer.breaker.check_refused()
        self._mark(peer, problem)
        return unsure

    async def _probe(self, peer: Peer, *, upload: bool) -> bool:
        """Checks and probes a peer; returns whether the estimate of the path is unsure.

        Raises:
            VlmError: the peer cannot be used.
        """
        if not peer.healthy:
            await peer.client.check_ready()
            peer.cards = self._sight.seeing(peer.record.url, await peer.client.models())
        if self._schedule.metered:
            return False
        unsure = self._observe(peer.record.id, await peer.client.ping())
        if self._schedule.upload_bytes and (upload or unsure):
            ping = await peer.client.ping(payload_bytes=self._schedule.upload_bytes)
            unsure = self._observe(peer.record.id, ping)
        await peer.read_load()
        return unsure

    def _mark(self, peer: Peer, problem: str | None) -> None:
        """Records the result of a check, or of a call that opened the breaker; None if it passed."""
        healthy = problem is None
        peer.checked = True
        peer.failures = peer.breaker.opened if healthy else max(peer.failures, peer.breaker.opened) + 1
        if healthy:
            peer.breaker.probed()
        problem = None if problem is None else short(problem, MAX_PROBLEM)
        if problem not in (None, peer.problem) and peer.log_limit.acquire() is not None:
            log.warning("server %s cannot be used: %s", peer.record.id, problem)
        peer.problem = problem
        if peer.healthy != healthy:
            peer.healthy = healthy
            refused = "refused" if peer.breaker.refusals else "unhealthy"
            self._changed(peer.record.id, "healthy" if healthy else refused)
        self._drop_if_lapsed(peer)
