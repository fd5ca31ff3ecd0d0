"""Registers the servers that the site file names."""

from __future__ import annotations

from agent.config.peer_settings import Server
from agent.config.settings import Settings
from agent.peers.access import Access
from agent.peers.registry import PeerRegistry
from cloud.peer import PeerRecord

BOARD = "board"
SOURCE = "site file"


class SiteServers:
    """Offers the servers in the site file to the registries of both tiers."""

    def __init__(self, board: PeerRegistry, cloud: PeerRegistry) -> None:
        self._board = board
        self._cloud = cloud
        self._applied: Settings | None = None

    def apply(self, settings: Settings) -> None:
        """Offers the servers in `settings`, and withdraws those that were removed or changed.

        Raises:
            ConfigError, BadTlsFile: a file of a server cannot be used; nothing has changed then.
        """
        accesses, before = site_accesses(settings), self._applied
        if before is not None:
            if before.local != settings.local and before.local is not None:
                self._board.withdraw(BOARD, source=SOURCE)
            for server in _connections(before) - _connections(settings):
                self._cloud.withdraw(server.id, source=SOURCE)
        if settings.local is not None:
            self._board.offer(PeerRecord(BOARD, settings.local), source=SOURCE, access=Access())
        self._cloud.end_rests()
        for name, record in site_records(settings).items():
            self._cloud.offer(record, source=SOURCE, access=accesses[name])
        self._applied = settings


def _connections(settings: Settings) -> set[Server]:
    """Returns the peers without their prompts and prices, which can change while a peer is in use."""
    return {server.model_copy(update={"prompt": None, "prices": None}) for server in settings.peers}


def site_records(settings: Settings) -> dict[str, PeerRecord]:
    """Returns the cloud peers in the site file, by id."""
    return {server.id: server.record() for server in settings.peers}


def site_accesses(settings: Settings) -> dict[str, Access]:
    """Returns how the cloud peers in the site file are called, by id.

    Raises:
        ConfigError, BadTlsFile: a file of a server cannot be used.
    """
    keys = settings.api_keys()
    return {server.id: Access.of(server, keys.get(server.id)) for server in settings.peers}
