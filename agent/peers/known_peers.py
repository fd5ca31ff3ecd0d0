"""The known peers, by id and URL: several servers may claim the same id."""

from __future__ import annotations

from collections.abc import Iterator

from agent.peers.peer import Peer


class KnownPeers:
    """A table of peers, which other threads may read while it changes.

    Its dictionaries are replaced and never changed.
    """

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Peer] = {}
        self._by_id: dict[str, tuple[Peer, ...]] = {}

    def all(self) -> tuple[Peer, ...]:
        """Returns all peers, in the order in which they came."""
        return tuple(self._all.values())

    def used(self) -> Iterator[Peer]:
        """Yields one peer for each id: the one in use."""
        for peers in self._by_id.values():
            yield max(peers, key=lambda peer: peer.rank)

    def named(self, peer_id: str) -> tuple[Peer, ...]:
        """Returns the peers that claim an id."""
        return self._by_id.get(peer_id, ())

    def get(self, peer_id: str) -> Peer | None:
        """Returns the peer in use with that id; None if there is none."""
        return max(self.named(peer_id), key=lambda peer: peer.rank, default=None)

    def at(self, peer_id: str, url: str) -> Peer | None:
        """Returns the peer with that id and URL; None if there is none."""
        return self._all.get((peer_id, url))

    def configured(self, peer_id: str) -> Peer | None:
        """Returns the peer of the site file with that id; None if there is none."""
        return next((peer for peer in self.named(peer_id) if peer.configured_by is not None), None)

    def add(self, peer: Peer) -> None:
        """Adds a peer, in the place of one with the same id and URL."""
        self._keep({**self._all, (peer.record.id, peer.record.url): peer})

    def remove(self, peer: Peer) -> None:
        """Removes a peer, and not one that has taken its place."""
        self._keep({key: other for key, other in self._all.items() if other is not peer})

    def _keep(self, peers: dict[tuple[str, str], Peer]) -> None:
        by_id: dict[str, tuple[Peer, ...]] = {}
        for peer in peers.values():
            by_id[peer.record.id] = (*by_id.get(peer.record.id, ()), peer)
        self._all, self._by_id = peers, by_id
