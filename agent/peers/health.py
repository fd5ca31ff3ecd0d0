"""The health of the known peers: what checks and calls have shown."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from agent.peers.breaker import Ended
from agent.peers.checks import CONFIRMATIONS
from agent.peers.known_peers import KnownPeers
from agent.peers.peer import Peer
from inarvl.door import short
from inarvl.rate_limit import RateLimit
from vlm.client import Ping
from vlm.completion import Completion

log = logging.getLogger(__name__)

MAX_PROBLEM = 300
STRANGERS_AT_ONCE, STRANGERS_EVERY_S = 20, 3.0  # reported changes of announced peers that nobody knows


class PeerHealth:
    """Records how checks and calls end, and reports what changes.

    Args:
        observe, lost, changed, tested: see `agent.peers.registry`.
    """

    def __init__(
        self,
        *,
        observe: Callable[[str, Ping], bool],
        lost: Callable[[str], None],
        changed: Callable[[str, str], None],
        tested: Callable[[str, str, Completion], None] = lambda _id, _model, _completion: None,
    ) -> None:
        self._observe = observe
        self._tested = tested
        self._lost = lost
        self._changed = changed
        self._strangers = RateLimit(STRANGERS_AT_ONCE, STRANGERS_EVERY_S)
        self._peers = KnownPeers()

    def known(self) -> tuple[Peer, ...]:
        """Returns the known peers, healthy and trusted or not; several may have the same id."""
        return self._peers.all()

    def get(self, peer_id: str) -> Peer | None:
        """Returns the known peer with that id, the one in use if there are several; None if there is none."""
        return self._peers.get(peer_id)

    def healthy(self) -> tuple[Peer, ...]:
        """Returns the peers that can be asked now."""
        return tuple(peer for peer in self._peers.used() if peer.healthy and peer.breaker.allows())

    def began(self, peer_id: str) -> None:
        """Records that a call to the peer has begun."""
        if (peer := self.get(peer_id)) is not None:
            peer.breaker.began()

    def ended(self, peer_id: str, how: Ended, problem: str = "a call failed", *, question: str = "") -> None:
        """Records how a call ended; if that opens the breaker, the peer is unhealthy until a passed check.

        Args:
            problem: why the call failed, if it did.
            question: identifies the question of the call.
        """
        peer = self.get(peer_id)
        if peer is None:
            return
        if peer.breaker.ended(how, question):
            if peer.healthy:
                self.mark(peer, problem)
                peer.wake.set()
        elif how == "late":
            self.probe_soon(peer_id)

    def denied(self, peer_id: str, model: str, problem: str) -> None:
        """Records that the server refuses one of its models to the caller."""
        peer = self.get(peer_id)
        if peer is not None and not peer.denies(model):
            log.warning(
                "model %s of server %s cannot be used: %s", model, peer_id, short(problem, MAX_PROBLEM)
            )
            peer.deny(model)
            self._changed(peer_id, "refused")

    def end_rests(self) -> None:
        """Ends the rest of the peers that refused the caller, since the site file was read again."""
        for peer in self.known():
            peer.denied_models.clear()
            if peer.breaker.refusals:
                peer.breaker.refusals = 0
                peer.wake.set()

    def resting(self) -> list[tuple[Peer, float]]:
        """Returns the unhealthy peers without strangers, and the seconds until each is checked again."""
        now = anyio.current_time()
        unhealthy = [
            peer for peer in self._peers.used() if not peer.healthy and (peer.trusted or peer.is_expected)
        ]
        return [(peer, max(0.0, (peer.next_check_at or now) - now)) for peer in unhealthy]

    def probe_soon(self, peer_id: str) -> None:
        """Probes the path before the next check is due, because a real call was far from the estimate."""
        peer = self.get(peer_id)
        if peer is not None and peer.healthy and peer.confirmations < CONFIRMATIONS:
            peer.confirmations += 1
            peer.wake.set()

    def observe(self, peer: Peer, ping: Ping) -> bool:
        """Passes on a ping of the server in use; returns whether another should follow soon."""
        return self.get(peer.record.id) is peer and self._observe(peer.record.id, ping)

    def lost(self, peer: Peer) -> None:
        """Passes on that a ping of the server in use got no answer in time."""
        if self.get(peer.record.id) is peer:
            self._lost(peer.record.id)

    def tested(self, peer: Peer, model: str, completion: Completion) -> None:
        """Passes on a model's answer to a test of its sight."""
        self._tested(peer.record.id, model, completion)

    def mark(self, peer: Peer, problem: str | None) -> None:
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
            used_before = self.get(peer.record.id)
            peer.healthy = healthy
            peer.was_healthy |= healthy
            refused = "refused" if peer.breaker.refusals else "unhealthy"
            self.report(peer, "healthy" if healthy else refused, always=used_before is peer)
        self._drop_if_lapsed(peer)

    def distrust(self, peer: Peer, reason: str) -> None:
        """Records the result of a check in which a server did not prove who it is."""
        reason = short(reason, MAX_PROBLEM)
        news = peer.trusted or peer.trust_reason != reason
        peer.trusted, peer.trust_reason = False, reason
        self.mark(peer, reason)
        if news:
            self.report(peer, "untrusted")

    def report(self, peer: Peer, state: str, *, always: bool = False) -> None:
        """Reports a changed state of the server in use; of strangers not too often."""
        used = self.get(peer.record.id)
        if not always and used not in (peer, None):
            return
        if peer.is_expected or self._strangers.acquire() is not None:
            self._changed(peer.record.id, state)

    def _drop_if_lapsed(self, peer: Peer) -> None:
        """Drops a peer that no source names, if it does not answer any more."""
        raise NotImplementedError
