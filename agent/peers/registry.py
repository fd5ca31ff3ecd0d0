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
5. A check also pings the peer, reads the requests of its other clients (`vlm.server_load`), and at intervals
   uploads some bytes. An unsure estimate of the path is probed again after CONFIRM_S, at most CONFIRMATIONS
   times per ordinary check. On a metered link there is none of this, and a healthy peer is not checked.
6. After a passed check, models that were not tested yet are tested for sight in the background, and removed
   if they do not see: see `agent.peers.sight`.
7. The site file wins over every announcement: one with the id of its peer and another URL is ignored,
   whichever came first. Only a peer of the site file gets an API key, at its own URL.
8. Whether an announced peer is trusted is decided by `agent.peers.trust`. One that is not is listed, and sent
   nothing. Several may announce the same id at different URLs: each is checked, and a healthy one is used.
9. The number of announced peers is limited. A new one that may be connected to takes the place of one that
   was never healthy and failed; of those that may not, the newest are listed (`agent.peers.slots`).
10. The registry is settled when every peer that may be connected to has been checked once, or SETTLE_S have
    passed, after the `naming_s` seconds from the start in which the sources name their peers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.peers.access import Access
from agent.peers.address_rules import AddressRules
from agent.peers.breaker import Breaker
from agent.peers.checks import CONFIRMATIONS, Checks
from agent.peers.health import PeerHealth
from agent.peers.peer import CheckSchedule, Peer
from agent.peers.slots import MAX_PEERS, MAX_UNTRUSTED, NoPlace, place_for
from agent.peers.trust import Trust, Verdict, Way
from cloud.peer import PeerRecord
from inarvl.door import Door
from vlm.client import Ping
from vlm.completion import Completion

LAST_TRIES = 6
SETTLE_S = 10.0
BY_SITE_FILE = "the site file names it"

__all__ = ["CONFIRMATIONS", "MAX_PEERS", "MAX_UNTRUSTED", "CheckSchedule", "PeerRegistry"]


class PeerRegistry(PeerHealth):
    """Keeps the peers of one tier, and has them checked.

    Args:
        observe: called with the peer's id and each ping; returns whether another should follow soon.
        lost: called with the peer's id when a ping got no answer in time.
        changed: called with the peer's id and its new state: found, healthy, unhealthy, untrusted, refused
            (it refuses the caller), blind (one of its models was found not to see), gone.
        tested: called with the peer's id, a model, and each of its answers to a test of its sight.
        door: guards the announcements and the replies of the peers.
        trust: decides which announced peers are trusted; by default none is.
        rules: where announced peers may be.
    """

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        observe: Callable[[str, Ping], bool] = lambda _id, _ping: False,
        lost: Callable[[str], None] = lambda _id: None,
        changed: Callable[[str, str], None] = lambda _id, _state: None,
        tested: Callable[[str, str, Completion], None] = lambda _id, _model, _completion: None,
        door: Door | None = None,
        schedule: CheckSchedule | None = None,
        trust: Trust | None = None,
        rules: AddressRules | None = None,
    ) -> None:
        super().__init__(observe=observe, lost=lost, changed=changed, tested=tested)
        self._schedule = schedule or CheckSchedule()
        self._door = door or Door("peers")
        self._trust = trust or Trust()
        self._rules = rules or AddressRules()
        self._checks = Checks(self._schedule, self, rng=rng, door=self._door, rules=self._rules)
        self._tasks: TaskGroup | None = None
        self._named_at = math.inf
        self._settled = False

    def settled(self) -> bool:
        """Returns whether the peers that can be asked are known; does not become false again."""
        now = anyio.current_time()
        if not self._settled and self._named_at <= now:
            late = self._named_at + SETTLE_S <= now
            self._settled = late or all(peer.checked for peer in self.known() if peer.verdict.ways)
        return self._settled

    def offer(
        self, record: PeerRecord, *, source: str, access: Access | None = None, sole: bool = True
    ) -> None:
        """Adds a peer that `source` names.

        Args:
            access: how it is called, if `source` configures the peer; None if it announces the peer.
            sole: whether the source names one URL of a peer, so that a new one replaces the last.
        """
        if access is not None:
            self._configure(record, source, access)
            return
        configured = self._peers.configured(record.id)
        if configured is not None and configured.record.url != record.url:
            configured.sources.discard(source)
            self._refuse(record, "the site file has another URL for this peer")
            return
        if (known := self._peers.at(record.id, record.url)) is not None:
            known.sources.add(source)
            known.record = replace(known.record, prices=record.prices)
        elif (problem := self._rules.url_problem(record.url)) is not None:
            self._refuse(record, f"its URL {problem}")
            return
        elif not self._announce(record, source):
            self._refuse(record, "there are too many peers already")
            return
        for other in self._peers.named(record.id) if sole else ():
            if other.record.url != record.url and source in other.sources:
                self._unname(other, source, stays=other.is_expected)

    def withdraw(self, peer_id: str, *, source: str, url: str | None = None) -> None:
        """Records that `source` no longer names the peer; drops it if no other source does.

        Args:
            url: at which it is no longer named; None for all.
        """
        for peer in self._peers.named(peer_id):
            if source in peer.sources and url in (None, peer.record.url):
                self._unname(peer, source)

    def lapse(self, peer_id: str, *, source: str, url: str | None = None) -> None:
        """Records that the announcement by `source` expired; the peer stays while it answers."""
        for peer in self._peers.named(peer_id):
            if source in peer.sources and url in (None, peer.record.url):
                self._unname(peer, source, stays=bool(peer.verdict.ways))

    def reconsider(self, trust: Trust) -> None:
        """Decides again which announced peers are trusted."""
        self._trust = trust
        for peer in self.known():
            if peer.configured_by is None and (verdict := trust.judge(peer.record)) != peer.verdict:
                self._replace(peer, peer.record, peer.sources, verdict)

    def may_contact(self, record: PeerRecord) -> bool:
        """Returns whether an announced peer may be connected to."""
        if self._peers.configured(record.id) is not None:
            return False
        return self._rules.url_problem(record.url) is None and bool(self._trust.judge(record).ways)

    def is_expected(self, record: PeerRecord) -> bool:
        """Returns whether an announced peer is one that strangers do not replace."""
        peer = self._peers.at(record.id, record.url)
        return peer is not None and peer.is_expected

    async def run(self) -> None:
        """Checks peers until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._named_at = anyio.current_time() + self._schedule.naming_s
                for peer in self.known():
                    self._start_checks(peer)
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    def _configure(self, record: PeerRecord, source: str, access: Access) -> None:
        for other in self._peers.named(record.id):
            if other.record.url != record.url:
                if other.configured_by is None:
                    self._refuse(other.record, "the site file has another URL for this peer")
                self._forget(other)
        known = self._peers.at(record.id, record.url)
        if known is not None and (known.configured_by, known.access) == (source, access):
            known.sources.add(source)
            return
        if known is not None:
            record = replace(record, prices=known.record.prices)
        sources = {source} if known is None else {*known.sources, source}
        verdict = Verdict((Way(access.tls, BY_SITE_FILE, access.content),), BY_SITE_FILE, trusted=True)
        self._replace(known, record, sources, verdict, source, access)

    def _announce(self, record: PeerRecord, source: str) -> bool:
        """Adds an announced peer; returns False if there is no place for it."""
        verdict = self._trust.judge(record)
        try:
            gives_place = place_for(record.id, verdict, self.known())
        except NoPlace:
            return False
        if gives_place is not None:
            self._drop(gives_place)
        self._replace(None, record, {source}, verdict)
        return True

    def _refuse(self, record: PeerRecord, reason: str) -> None:
        self._door.drop(f"the record of {record.id} at {record.url}", reason)

    def _unname(self, peer: Peer, source: str, *, stays: bool = False) -> None:
        """Records that a source no longer names a peer.

        Args:
            stays: whether it is kept while it answers, if no other source names it.
        """
        peer.sources.discard(source)
        allowed = self._rules.url_problem(peer.record.url) is None
        if peer.configured_by == source and peer.sources and allowed:
            self._replace(peer, peer.record, peer.sources, self._trust.judge(peer.record))
        elif peer.configured_by == source or not (peer.sources or stays):
            self._drop(peer)
        else:
            self._drop_if_lapsed(peer)

    def _drop_if_lapsed(self, peer: Peer) -> None:
        known = self._peers.at(peer.record.id, peer.record.url) is peer
        if known and not peer.sources and peer.failures >= LAST_TRIES:
            self._drop(peer)

    def _replace(
        self,
        known: Peer | None,
        record: PeerRecord,
        sources: Iterable[str],
        verdict: Verdict,
        configured_by: str | None = None,
        access: Access | None = None,
    ) -> None:
        if known is not None:
            self._forget(known)
        peer = Peer(
            record,
            self._checks.client(record, verdict, 0, access),
            set(sources),
            verdict,
            configured_by,
            access or Access(),
            trusted=verdict.trusted,
            trust_reason=verdict.reason,
            problem=None if verdict.ways else f"it is not trusted: {verdict.reason}",
            breaker=Breaker(self._schedule.trials),
        )
        self._peers.add(peer)
        self.report(peer, "found" if verdict.ways else "untrusted")
        self._start_checks(peer)

    def _start_checks(self, peer: Peer) -> None:
        if self._tasks is not None and peer.verdict.ways:
            self._tasks.start_soon(self._checks.run, peer)

    def _drop(self, peer: Peer) -> None:
        self._forget(peer)
        if not self._peers.named(peer.record.id):
            self.report(peer, "gone")

    def _forget(self, peer: Peer) -> None:
        self._peers.remove(peer)
        peer.healthy = False
        peer.scope.cancel()
