"""The peers that a command of a person finds: those of the site file, and those that announce themselves."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

import anyio

from agent.config.settings import Settings
from agent.messages.mqtt_connection import MqttConnection
from agent.peers import mdns
from agent.peers.access import Access
from agent.peers.address_rules import AddressRules
from agent.peers.announced_services import Policy
from agent.peers.pins import PinFile
from agent.peers.site_file import site_accesses, site_records
from agent.peers.trust import Trust, Verdict, Way
from cloud.peer import TOPIC, PeerRecord
from inarvl.door import Door
from vlm.client import VlmClient
from vlm.errors import VlmError, VlmUntrusted

BY_SITE_FILE = "the site file names it"


@dataclass(frozen=True)
class FoundPeer:
    """A peer, and whether it may be asked anything.

    Attributes:
        access: what the site file says about it; None if it only announces itself.
    """

    record: PeerRecord
    verdict: Verdict
    access: Access | None
    rules: AddressRules

    @property
    def may_contact(self) -> bool:
        """Whether it may be connected to."""
        return bool(self.verdict.ways)

    async def client(self) -> VlmClient:
        """Returns a client for a peer that may be connected to: in the first way in which it is trusted."""
        if self.access is not None:
            key, models, tls = self.access.api_key, self.access.models, self.access.tls
            return VlmClient(self.record.url, api_key=key, models=models, tls=tls)
        *others, last = (
            VlmClient(self.record.url, tls=way.tls, address_problem=self.rules.problem)
            for way in self.verdict.ways
        )
        for client in others:
            try:
                await client.check_ready()
            except VlmUntrusted:
                await client.aclose()
                continue
            except VlmError:
                pass  # what is wrong is found again by its user
            return client
        return last


async def survey(settings: Settings, seconds: float) -> list[FoundPeer]:
    """Returns the peers of the site file, and those that announce themselves within `seconds` by zeroconf.

    Of an id in the site file, only the peer there is returned.

    Raises:
        BadPins, BadTlsFile, ConfigError: a file that decides who is trusted cannot be read.
    """
    accesses = site_accesses(settings)
    trust = Trust(settings.discovery.trust, PinFile(settings.state_dir).load())
    rules = address_rules(settings)
    named = Verdict((Way(None, BY_SITE_FILE),), BY_SITE_FILE, trusted=True)
    found = [
        FoundPeer(record, named, accesses[name], rules) for name, record in site_records(settings).items()
    ]
    if not settings.discovery.zeroconf:
        return found

    def judge(record: PeerRecord) -> Verdict:
        problem = rules.url_problem(record.url)
        return trust.judge(record) if problem is None else Verdict((), f"its URL {problem}")

    def may_contact(record: PeerRecord) -> bool:
        return record.id not in accesses and bool(judge(record).ways)

    listed = AddressRules(loopback=True, broker=rules.broker)  # what is not used is shown too
    for record in await mdns.listen(seconds, Policy(may_contact, address_problem=listed.problem)):
        if record.id not in accesses:
            found.append(FoundPeer(record, judge(record), None, rules))
    return found


async def claims(settings: Settings, peer_id: str, seconds: float) -> list[PeerRecord]:
    """Returns the peers that announce an id within `seconds`, by zeroconf or on the broker.

    Raises:
        BadTlsFile, ConfigError: a file for the broker cannot be used.
    """
    found: dict[str, PeerRecord] = {}

    def add(record: PeerRecord) -> None:
        if record.id == peer_id:
            found[record.url] = record

    async def listen() -> None:
        rules = address_rules(settings)
        policy = Policy(is_wanted, is_wanted, rules.problem)
        await mdns.browse(add, lambda _record: None, policy=policy)

    def is_wanted(record: PeerRecord) -> bool:
        return record.id == peer_id

    async def read_broker() -> None:
        options = replace(
            settings.mqtt_options(f"inarvl-console-{uuid.uuid4().hex[:12]}"), keeps_session=False
        )
        door = Door("peer records")
        async with MqttConnection(options, subscriptions=(f"{TOPIC}/{peer_id}",)) as connection:
            async for message in connection.messages():
                message.ack()
                with door.guard(message.topic):
                    if message.payload:
                        add(PeerRecord.from_bytes(message.payload))

    async with anyio.create_task_group() as tasks:
        if settings.discovery.zeroconf:
            tasks.start_soon(listen)
        if settings.discovery.mqtt:
            tasks.start_soon(read_broker)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()
    return list(found.values())


def address_rules(settings: Settings) -> AddressRules:
    """Returns where announced peers may be at this site."""
    return AddressRules(settings.discovery.trust.mode == "any", (settings.broker.host, settings.broker.port))
