"""Keeps all known model servers of both tiers, with the network path to each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import anyio
import numpy as np

from agent.config.settings import Settings
from agent.peers import mdns, mqtt_records
from agent.peers.address_rules import AddressRules
from agent.peers.announced_services import Policy
from agent.peers.network_path import Paths
from agent.peers.peer import CheckSchedule, Peer
from agent.peers.pins import PinFile
from agent.peers.registry import PeerRegistry
from agent.peers.site_file import SiteServers
from agent.peers.trust import Trust
from agent.profile.profile import Profile
from controller import Tier
from inarvl.door import Door
from inarvl.price import Prices
from vlm.completion import Completion

log = logging.getLogger(__name__)

BOARD_MAX_RETRY_S = 3.0
NAMING_S = 3.0  # for zeroconf and the broker to name the peers that exist already
PINS_S = 2.0
MAX_REPORTED = 64


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
        tested: called with a peer's id, a model, and each of its answers to a test of its sight.

    Args:
        changed: called with a server's id and its new state (found, healthy, unhealthy, untrusted,
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
        self.tested: Callable[[str, str, Completion], None] = lambda _server, _model, _completion: None
        self.paths = Paths(probed=not settings.probing.metered)
        self.doors = doors = doors or PeerDoors()
        schedule = _cloud_schedule(settings, profile)
        self._pins = PinFile(settings.state_dir)
        self._pins.changed()
        self._trust_changed = anyio.Event()
        trust = Trust(settings.discovery.trust, self._pins.pins())
        self._rules = AddressRules(trust.any, (settings.broker.host, settings.broker.port))
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
                tested=self._tested,
                door=doors.replies,
                schedule=schedule,
                trust=trust,
                rules=self._rules,
            ),
        }
        self._site = SiteServers(self._registries["local"], self._registries["cloud"])

    def registry(self, tier: Tier) -> PeerRegistry:
        """Returns the servers of one tier."""
        return self._registries[tier]

    def apply(self, settings: Settings) -> None:
        """Applies the servers, the prompts and the trust that the new settings name.

        Raises:
            ConfigError, BadTlsFile: a file that they name cannot be used.
        """
        trust = Trust(settings.discovery.trust, self._pins.pins())
        self._site.apply(settings)
        self._prompts = self._settings = settings
        self._reconsider(trust)

    def vouched(self, tier: Tier, server: str) -> bool:
        """Returns whether the site file names a server."""
        peer = self._registries[tier].get(server)
        return peer is not None and peer.configured_by is not None

    def claimed_prices(self, server: str) -> Prices | None:
        """Returns the prices that a peer announces; None if it announces none."""
        peer = self._registries["cloud"].get(server)
        return None if peer is None else peer.record.prices

    def problem(self, server: str) -> str | None:
        """Returns why a server cannot be used or trusted; None if it can, or is not known."""
        peers = (registry.get(server) for registry in self._registries.values())
        return next((peer.problem for peer in peers if peer is not None and peer.problem), None)

    def prompt(self, tier: Tier, server: str) -> str | None:
        """Returns the system text of calls to a server; None if it has none."""
        return self._prompts.prompt_for(server if tier == "cloud" else None)

    def receive_record(self, topic: str, payload: bytes) -> None:
        """Adds, updates or withdraws a peer by its record from MQTT."""
        mqtt_records.receive_record(self._registries["cloud"], topic, payload, self.doors.records)

    def report(self) -> list[dict[str, Any]]:
        """Returns the state of each server, for telemetry; of many strangers only of the newest."""
        return [
            {
                "tier": tier,
                "id": peer.record.id,
                "url": peer.record.url,
                "discovered": peer.configured_by is None,
                "trust": "trusted" if peer.trusted else "untrusted",
                "trust_reason": peer.trust_reason,
                "healthy": peer.healthy,
                "problem": peer.problem,
                "models": [card.id for card in peer.usable_cards()],
                "other_requests": peer.other_requests,
                "link": self._link_report(peer.record.id) if tier == "cloud" and peer.trusted else None,
            }
            for tier, peers in self._registries.items()
            for peer in _reported(peers.known())
        ]

    async def run(self) -> None:
        """Checks the servers, and finds new ones, until cancelled."""
        cloud = self._registries["cloud"]
        async with anyio.create_task_group() as tasks:
            for registry in self._registries.values():
                tasks.start_soon(registry.run)
            tasks.start_soon(self._follow_pins)
            tasks.start_soon(self._rules.follow_broker)
            if self._settings.discovery.zeroconf:
                tasks.start_soon(
                    partial(
                        mdns.browse,
                        partial(cloud.offer, source=mdns.SOURCE, sole=False),
                        lambda record: cloud.withdraw(record.id, source=mdns.SOURCE, url=record.url),
                        lambda record: cloud.lapse(record.id, source=mdns.SOURCE, url=record.url),
                        door=self.doors.announcements,
                        policy=Policy(
                            cloud.may_contact,
                            cloud.is_expected,
                            self._rules.problem,
                            lambda: self._trust_changed,
                        ),
                    )
                )

    async def _follow_pins(self) -> None:
        """Applies what `inarvl peer trust` has changed, until cancelled."""
        while True:
            await anyio.sleep(PINS_S)
            if self._pins.changed():
                with self.doors.records.guard(str(self._pins.path)):
                    self._reconsider(Trust(self._settings.discovery.trust, self._pins.pins()))

    def _reconsider(self, trust: Trust) -> None:
        self._rules.loopback = trust.any
        self._registries["cloud"].reconsider(trust)
        before, self._trust_changed = self._trust_changed, anyio.Event()
        before.set()

    def _changed(self, server: str, state: str) -> None:
        if state != "blind":  # logged with the name of its model
            log.info("server %s is %s", server, state)
        if state in ("found", "gone"):  # a server found at another address has another path
            self.paths.forget(server)
        self._on_change(server, state)

    def _tested(self, server: str, model: str, completion: Completion) -> None:
        self.tested(server, model, completion)

    def _link_report(self, server: str) -> dict[str, Any]:
        path = self.paths.to(server)
        return {**asdict(path.state()), "server_ms": path.server_ms, "slow": path.slow}


def _reported(peers: Sequence[Peer]) -> list[Peer]:
    strangers = [peer for peer in peers if not peer.is_expected]
    hidden = set(map(id, strangers[:-MAX_REPORTED]))
    return [peer for peer in peers if id(peer) not in hidden]


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
