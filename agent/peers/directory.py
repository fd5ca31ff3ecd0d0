"""Keeps all known model servers of both tiers, with the network path to each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import numpy as np

from agent.config.settings import Settings
from agent.peers import mdns, mqtt_records
from agent.peers.network_path import Paths
from agent.peers.peer import CheckSchedule
from agent.peers.registry import PeerRegistry
from agent.peers.site_file import SiteServers
from agent.profile.profile import Profile
from controller import Tier
from inarvl.door import Door

log = logging.getLogger(__name__)

BOARD_MAX_RETRY_S = 3.0
NAMING_S = 3.0  # for zeroconf and the broker to name the peers that exist already


@dataclass(frozen=True)
class PeerDoors:
    """The doors for what servers send, by kind."""

    records: Door = field(default_factory=partial(Door, "peer records"))
    announcements: Door = field(default_factory=partial(Door, "zeroconf announcements"))
    replies: Door = field(default_factory=partial(Door, "replies of servers"))


class ServerDirectory:
    """The board's own server and the cloud peers, kept up to date from the site file, zeroconf and MQTT.

    Attributes:
        paths: the estimated network paths to the cloud peers.
        doors: guard what the servers send.

    Args:
        changed: called with a server's id and its new state (found, healthy, unhealthy,
            refused, blind, gone).
        doors: by default new ones.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        *,
        rng: np.random.Generator,
        changed: Callable[[str, str], None],
        doors: PeerDoors | None = None,
    ) -> None:
        self._settings = settings
        self._prompts = settings
        self._on_change = changed
        self.paths = Paths(probed=not settings.probing.metered)
        self.doors = doors = doors or PeerDoors()
        schedule = _cloud_schedule(settings, profile)
        self._registries: dict[Tier, PeerRegistry] = {
            "local": PeerRegistry(
                rng=rng,
                changed=self._changed,
                door=doors.replies,
                schedule=_board_schedule(schedule, settings.intake.workers),
            ),
            "cloud": PeerRegistry(
                rng=rng,
                changed=self._changed,
                observe=self.paths.observe,
                lost=self.paths.lost,
                door=doors.replies,
                schedule=schedule,
            ),
        }
        self._site = SiteServers(self._registries["local"], self._registries["cloud"])

    def registry(self, tier: Tier) -> PeerRegistry:
        """Returns the servers of one tier."""
        return self._registries[tier]

    def apply(self, settings: Settings) -> None:
        """Applies the servers and the prompts that the new settings name."""
        self._prompts = settings
        self._site.apply(settings)

    def vouched(self, tier: Tier, server: str) -> bool:
        """Returns whether the site file names a server."""
        peer = self._registries[tier].get(server)
        return peer is not None and peer.configured_by is not None

    def problem(self, server: str) -> str | None:
        """Returns why a server cannot be used; None if it can, or is not known."""
        peers = (registry.get(server) for registry in self._registries.values())
        return next((peer.problem for peer in peers if peer is not None and peer.problem), None)

    def prompt(self, tier: Tier, server: str) -> str | None:
        """Returns the system text of calls to a server; None if it has none."""
        return self._prompts.prompt_for(server if tier == "cloud" else None)

    def receive_record(self, topic: str, payload: bytes) -> None:
        """Adds, updates or withdraws a peer by its record from MQTT."""
        mqtt_records.receive_record(self._registries["cloud"], topic, payload, self.doors.records)

    def report(self) -> list[dict[str, Any]]:
        """Returns the state of each server, for telemetry."""
        return [
            {
                "tier": tier,
                "id": peer.record.id,
                "url": peer.record.url,
                "healthy": peer.healthy,
                "problem": peer.problem,
                "models": [card.id for card in peer.usable_cards()],
                "other_requests": peer.other_requests,
                "link": self._link_report(peer.record.id) if tier == "cloud" else None,
            }
            for tier, peers in self._registries.items()
            for peer in peers.known()
        ]

    async def run(self) -> None:
        """Checks the servers, and finds new ones, until cancelled."""
        cloud = self._registries["cloud"]
        async with anyio.create_task_group() as tasks:
            for registry in self._registries.values():
                tasks.start_soon(registry.run)
            if self._settings.discovery.zeroconf:
                browse = partial(mdns.browse, door=self.doors.announcements)
                tasks.start_soon(
                    browse,
                    partial(cloud.offer, source=mdns.SOURCE),
                    partial(cloud.withdraw, source=mdns.SOURCE),
                    partial(cloud.lapse, source=mdns.SOURCE),
                )

    def _changed(self, server: str, state: str) -> None:
        if state != "blind":  # logged with the name of its model
            log.info("server %s is %s", server, state)
        if state in ("found", "gone"):  # a server found at another address has another path
            self.paths.forget(server)
        self._on_change(server, state)

    def _link_report(self, server: str) -> dict[str, Any]:
        path = self.paths.to(server)
        return {**asdict(path.state()), "server_ms": path.server_ms, "slow": path.slow}


def _cloud_schedule(settings: Settings, profile: Profile) -> CheckSchedule:
    probing, check_s = settings.probing, profile.rates.probe_s
    return CheckSchedule(
        check_s=check_s,
        checks_per_upload=max(1, round(probing.upload_every_s / check_s)),
        upload_bytes=probing.upload_bytes,
        metered=probing.metered,
        sight=probing.sight and not probing.metered,
        naming_s=NAMING_S if settings.discovery.zeroconf or settings.discovery.mqtt else 0.0,
    )


def _board_schedule(schedule: CheckSchedule, workers: int) -> CheckSchedule:
    return replace(
        schedule,
        max_retry_s=BOARD_MAX_RETRY_S,
        upload_bytes=0,
        metered=False,
        sight=False,
        naming_s=0.0,
        trials=workers,  # there may be no other server to ask
    )
