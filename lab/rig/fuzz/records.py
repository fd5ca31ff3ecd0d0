"""Retained peer records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import yarl

from agent.config.peer_settings import DiscoveryTrust
from agent.peers.address_rules import AddressRules
from agent.peers.mqtt_records import receive_record
from agent.peers.registry import PeerRegistry
from agent.peers.trust import Trust
from cloud.peer import TOPIC
from lab.rig.fuzz.fuzz_door import FuzzDoor, RaisingDoor, Use
from vlm.base_url import api_bases, probe_base

SEEDS = (
    {
        "id": "p",
        "url": "http://10.0.0.1:8020",
        "models": ["small", "large"],
        "api": "openai/v1",
        "version": "1",
    },
    {"id": "p", "url": "https://api.example.com:443/v1beta/openai/"},
    {"id": "p", "url": "https://api.example.com:443/v1"},
    {"id": "p", "url": "http://[fd00::1%eth0]:80"},
    {"id": "p", "url": "http://[::ffff:127.0.0.1]:80"},
)


def _trusting() -> PeerRegistry:
    """Returns a registry that would connect to every peer."""
    trust = Trust(DiscoveryTrust.model_validate("any"))
    return PeerRegistry(rng=np.random.default_rng(0), trust=trust, rules=AddressRules(loopback=True))


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Passes payloads to the registry, and builds the URLs that a known peer is called at."""
    peers, door = _trusting(), RaisingDoor("peer records")

    async def use(data: bytes) -> None:
        peers.withdraw("p", source="mqtt")
        receive_record(peers, f"{TOPIC}/p", data, door)
        for peer in peers.known():
            for base in (*api_bases(peer.record.url), probe_base(peer.record.url)):
                assert yarl.URL(f"{base}/models").host
            peer.record.to_txt()

    yield use


DOOR = FuzzDoor("records", lambda mutator, rng: mutator.change_json(rng.choice(SEEDS)), opened)
