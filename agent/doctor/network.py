"""Checks of the broker, the board's model server and the peers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from agent import client
from agent.client import AgentSilent
from agent.config.settings import Settings
from agent.config.yaml_file import ConfigError
from agent.doctor.finding import Finding, failed, ok, warning
from agent.doctor.local_server import local_unit, model_files
from agent.doctor.trust import untrusted
from agent.messages.deliveries import PublishRefused
from agent.messages.topics import Topics
from agent.peers.pins import BadPins
from agent.peers.survey import survey
from agent.profile.pins import ModelPins
from agent.profile.profile import Profile
from cloud.peer import PeerRecord
from inarvl.tls_files import BadTlsFile
from vlm import bundled
from vlm.client import ModelCard, VlmClient
from vlm.errors import VlmError

BROKER_TIMEOUT_S = 5.0
LISTEN_S = 2.0


async def broker(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the agent's topics can be subscribed to, and that messages arrive on them.

    A broker may grant a subscription and still deny messages, so one is sent to the agent itself: with a
    topic for results, and as a query that the agent refuses.
    """
    url, topics, word = settings.broker.url, Topics(settings.device), f"doctor-{uuid.uuid4().hex[:8]}"
    try:
        await client.check_subscriptions(settings, timeout_s=BROKER_TIMEOUT_S)
        received = await _arrives(settings, topics.result(word), word.encode())
        query = json.dumps({"id": word, "client": word}).encode()
        open_topic = (topics.query,) if settings.intake.open_topic else ()
        silent = [
            topic
            for topic in (*open_topic, topics.query_of(word))
            if await _arrives(settings, topic, query) is False
        ]
    except (AgentSilent, BadTlsFile, ConfigError) as error:
        return [
            failed(
                f"{url}: {error}",
                "start the broker (`systemctl start mosquitto`), or correct broker.url, the files and the "
                "user in the site file",
            )
        ]
    if not received:
        return [
            failed(
                f"{url} accepts the connection, but does not deliver messages",
                f"allow reading and writing of inarvl/{settings.device}/# in the broker's access list",
            )
        ]
    if silent:
        return [
            failed(
                f"{url} grants the subscription to {silent[0]}, but does not deliver messages on it",
                f"allow reading and writing of {topics.query} and {topics.query_of('+')} in the broker's "
                "access list",
            )
        ]
    return [ok(f"{url} delivers messages")]


async def _arrives(settings: Settings, topic: str, payload: bytes) -> bool | None:
    """Returns whether a message to `topic` arrives; None if this user may not send one."""
    try:
        return await client.echo(settings, topic, payload, timeout_s=BROKER_TIMEOUT_S)
    except PublishRefused:
        return None


async def model(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that the board's own server answers, and that the model it should serve exists."""
    unit = local_unit()
    findings = model_files(unit)
    if settings.local is None:
        return [*findings, ok("no local model is configured: the cloud answers all queries")]
    client = VlmClient(settings.local)
    try:
        if await client.ready():
            cards = await client.models()
            names = [card.id for card in cards]
            served = ok(f"{settings.local} serves {', '.join(names)}")
            return [*findings, served, *_other_files(profile, cards), *_only_bundled(settings.local, names)]
        fact = f"no model server is ready at {settings.local}"
    except VlmError as error:
        fact = str(error)
    finally:
        await client.aclose()
    remedy = f"see `systemctl status {unit}` for the reason, or write `local: null` in the site file"
    return [*findings, failed(fact, remedy)]


async def peers(settings: Settings, profile: Profile) -> list[Finding]:
    """Checks that trusted peers answer, and measures their round trip; others are named."""
    try:
        found = await survey(settings, LISTEN_S)
    except (BadPins, BadTlsFile, ConfigError) as error:
        return [failed(str(error), "correct the file, or its name in the site file")]
    if not found:
        return [
            warning(
                "no peer is in the site file or announces itself on this network",
                "start inarvl-cloud on this network, add a peer to the site file under peers, "
                "or wait until one is announced over MQTT",
            )
        ]
    findings = [
        finding
        for peer in found
        if peer.may_contact
        for finding in await _peer(peer.record, await peer.client())
    ]
    return findings + untrusted([peer.record.id for peer in found if not peer.may_contact])


async def _peer(record: PeerRecord, client: VlmClient) -> list[Finding]:
    try:
        try:
            await client.check_ready()
        except VlmError as error:
            return [
                warning(
                    f"{record.id} at {record.url} is not ready: {error}",
                    "start it, or wait until its models are loaded",
                )
            ]
        names = [card.id for card in await client.models()]
        pings = [await client.ping() for _ in range(3)]
        rtt_ms = min(ping.rtt_ms - (ping.server_ms or 0.0) for ping in pings)
        served = f"{record.id} at {record.url} serves {', '.join(names)}, round trip {rtt_ms:.1f} ms"
        return [ok(served), *_only_bundled(record.id, names)]
    except VlmError as error:
        return [warning(f"{record.id}: {error}", "see its log, and check the network path to it")]
    finally:
        await client.aclose()


def _other_files(profile: Profile, cards: Iterable[ModelCard]) -> list[Finding]:
    """Fails for the board's models whose files are not those that the profile pins."""
    problems = (ModelPins(profile).problem("local", card) for card in cards)
    remedy = "serve the pinned model, or if you trust the new files, pin their digest"
    return [failed(problem, remedy) for problem in problems if problem is not None]


def _only_bundled(server: str, names: list[str]) -> list[Finding]:
    """Warns about a server whose models are all bundled ones, which cannot answer about camera images."""
    if not names or not set(names) <= set(bundled.names()):
        return []
    return [
        warning(
            f"{server} serves bundled models only, which know drawn scenes and no camera images",
            "choose a pretrained model with `inarvl-vlm models`, download it with `inarvl-vlm pull NAME`, "
            "and serve it (docs/models.md)",
        )
    ]
