"""A running directory of servers, and an address of this machine that announced peers may have."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from agent.config.settings import Settings
from agent.peers.directory import ServerDirectory
from agent.peers.peer import Peer
from agent.profile.loading import load_profile
from cloud.peer import TOPIC
from inarvl.network_interfaces import network_interfaces
from vlm.errors import VlmError


def lan_address() -> str:
    """Returns an IPv4 address of this machine that is not on loopback: nobody may announce one there."""
    for interface in network_interfaces():
        for address in interface.addresses:
            if address.version == 4 and not (address.is_loopback or address.is_link_local):
                return str(address.ip)
    pytest.skip("this machine has no network interface but loopback")


def settings(folder: Path, trust: object = "none", **fields: Any) -> Settings:
    discovery = {"zeroconf": False, "mqtt": True, "trust": trust}
    site = {"device": "d", "local": None, "state_dir": folder, "discovery": discovery}
    return Settings.model_validate({**site, **fields})


@dataclass
class Directory:
    """A directory of servers as the agent runs it.

    Attributes:
        events: the states that it has reported, with the id of the server.
    """

    servers: ServerDirectory
    events: list[tuple[str, str]] = field(default_factory=list)

    def retain(self, peer_id: str, url: str, **fields: object) -> None:
        """Receives a peer record from the broker."""
        payload = json.dumps({"id": peer_id, "url": url, **fields}).encode()
        self.servers.receive_record(f"{TOPIC}/{peer_id}", payload)

    def clear(self, peer_id: str) -> None:
        """Receives the message that a peer record was removed."""
        self.servers.receive_record(f"{TOPIC}/{peer_id}", b"")

    @property
    def dropped(self) -> int:
        """How many records were ignored."""
        doors = self.servers.doors
        return doors.records.dropped + doors.replies.dropped

    def peer(self, peer_id: str) -> Peer:
        found = self.servers.registry("cloud").get(peer_id)
        assert found is not None
        return found

    def reported(self, peer_id: str) -> dict[str, Any]:
        """Returns what telemetry says about a peer."""
        return next(server for server in self.servers.report() if server["id"] == peer_id)

    async def ask(self, peer_id: str) -> str | None:
        """Sends a question with an image to a peer if it is healthy; returns its answer."""
        for peer in self.servers.registry("cloud").healthy():
            if peer.record.id == peer_id:
                try:
                    completion = await peer.client.complete(
                        "?", b"\xff\xd8", model=peer.cards[0].id, max_tokens=4, timeout_s=10
                    )
                except VlmError:
                    return None
                return completion.text
        return None

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(60):
            while not condition():  # noqa: ASYNC110 # the condition has no event
                await anyio.sleep(0.01)

    async def healthy(self, peer_id: str) -> None:
        """Waits until a peer can be asked."""
        cloud = self.servers.registry("cloud")
        await self.until(lambda: any(peer.record.id == peer_id for peer in cloud.healthy()))

    async def checked(self, peer_id: str) -> None:
        """Waits until a peer has failed a check."""
        await self.until(lambda: self.peer(peer_id).failures)


@asynccontextmanager
async def running(site: Settings) -> AsyncIterator[Directory]:
    """Runs a directory with a site file."""
    events: list[tuple[str, str]] = []
    servers = ServerDirectory(
        site,
        load_profile("generic-x86"),
        rng=np.random.default_rng(0),
        changed=lambda server, state: events.append((server, state)),
    )
    servers.apply(site)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(servers.run)
        yield Directory(servers, events)
        tasks.cancel_scope.cancel()
