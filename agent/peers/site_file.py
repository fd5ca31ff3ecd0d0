"""Registers the servers that the site file names."""

from __future__ import annotations

from agent.config.settings import Server, Settings
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
        """Offers the servers in `settings`, and withdraws those that were removed or changed."""
        before = self._applied
        if before is not None:
            if before.local != settings.local and before.local is not None:
                self._board.withdraw(BOARD, source=SOURCE)
            for server in _without_prompts(before) - _without_prompts(settings):
                self._cloud.withdraw(server.id, source=SOURCE)
        if settings.local is not None:
            self._board.offer(PeerRecord(BOARD, settings.local), source=SOURCE)
        self._cloud.reconfigure(settings.api_keys())
        for record in site_records(settings).values():
            self._cloud.offer(record, source=SOURCE, models=record.models)
        self._applied = settings


def _without_prompts(settings: Settings) -> set[Server]:
    """Returns the peers without their prompts, which can change while a peer is in use."""
    return {server.model_copy(update={"prompt": None}) for server in settings.peers}


def site_records(settings: Settings) -> dict[str, PeerRecord]:
    """Returns the cloud peers in the site file, by id."""
    return {server.id: server.record() for server in settings.peers}
