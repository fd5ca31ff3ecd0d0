"""The servers that the site file names."""

from __future__ import annotations

from agent.config.settings import Settings
from agent.peers.registry import PeerRegistry
from cloud.peer import PeerRecord

BOARD = "board"
SOURCE = "site file"


class SiteServers:
    """Keeps both registries told of the servers in the site file."""

    def __init__(self, board: PeerRegistry, cloud: PeerRegistry) -> None:
        self._board = board
        self._cloud = cloud

    def offer(self, settings: Settings) -> None:
        """Tell of all of them."""
        if settings.local is not None:
            self._board.offer(PeerRecord(BOARD, settings.local), source=SOURCE)
        self._cloud.keys = settings.api_keys()
        for server in settings.peers:
            self._cloud.offer(PeerRecord(server.id, server.url, server.models), source=SOURCE)

    def change(self, before: Settings, after: Settings) -> None:
        """Withdraw what is no longer named, or named otherwise, and tell of what is."""
        if before.local != after.local and before.local is not None:
            self._board.withdraw(BOARD, source=SOURCE)
        for server in set(before.peers) - set(after.peers):
            self._cloud.withdraw(server.id, source=SOURCE)
        self.offer(after)
