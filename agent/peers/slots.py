"""Which announced peers are kept when there are too many, so that strangers do not hide an honest one."""

from __future__ import annotations

from collections.abc import Iterable

from agent.peers.peer import Peer
from agent.peers.trust import Verdict

MAX_PEERS = 256  # that may be connected to
MAX_UNTRUSTED = 32  # that are only listed
MAX_CLAIMS = 4  # of one id that may be connected to


class NoPlace(Exception):
    """There is no place for another peer."""


def place_for(peer_id: str, verdict: Verdict, known: Iterable[Peer]) -> Peer | None:
    """Returns the peer that gives its place to a new one; None if there is a free place.

    Args:
        known: the known peers, in the order in which they came.

    Raises:
        NoPlace: all others are used, or were not checked yet.
    """
    announced = [peer for peer in known if peer.configured_by is None]
    alike = [peer for peer in announced if bool(peer.verdict.ways) == bool(verdict.ways)]
    if not verdict.ways:
        return alike[0] if len(alike) >= MAX_UNTRUSTED else None
    same_id = [peer for peer in alike if peer.record.id == peer_id]
    if len(same_id) >= MAX_CLAIMS:
        return _failing([peer for peer in same_id if not peer.is_proven])
    if len(alike) >= MAX_PEERS:
        return _failing([peer for peer in alike if not peer.is_expected])
    return None


def _failing(peers: list[Peer]) -> Peer:
    failing = [peer for peer in peers if peer.failures]
    if not failing:
        raise NoPlace
    return max(failing, key=lambda peer: peer.failures)
