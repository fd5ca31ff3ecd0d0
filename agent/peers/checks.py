"""Checks one peer again and again: whether it is ready, which models it has, how far it is, what it sees.

A peer that was never healthy waits for its turn: only STRANGERS of them are checked at the same time.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Protocol

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.peers.access import Access
from agent.peers.address_rules import AddressRules
from agent.peers.peer import CheckSchedule, Peer
from agent.peers.sight import Sight
from agent.peers.trust import Verdict
from cloud.peer import PeerRecord
from inarvl.door import Door
from vlm.client import Ping, VlmClient
from vlm.completion import Completion
from vlm.errors import VlmDenied, VlmError, VlmTimeout, VlmUnavailable, VlmUntrusted

CONFIRM_S = 0.2
CONFIRMATIONS = 3
STRANGERS = 16


class Records(Protocol):
    """Where the results of checks go."""

    def observe(self, peer: Peer, ping: Ping) -> bool:
        """Records a ping; returns whether another should follow soon."""

    def lost(self, peer: Peer) -> None:
        """Records that a ping got no answer in time."""

    def mark(self, peer: Peer, problem: str | None) -> None:
        """Records the result of a check; None if it passed."""

    def distrust(self, peer: Peer, reason: str) -> None:
        """Records the result of a check in which a server did not prove who it is."""

    def report(self, peer: Peer, state: str) -> None:
        """Reports a changed state."""

    def tested(self, peer: Peer, model: str, completion: Completion) -> None:
        """Records a model's answer to a test of its sight."""


class Checks:
    """The checks of all peers of one tier.

    Args:
        rules: where announced peers may be.
    """

    def __init__(
        self,
        schedule: CheckSchedule,
        records: Records,
        *,
        rng: np.random.Generator,
        door: Door,
        rules: AddressRules,
    ) -> None:
        self._schedule = schedule
        self._records = records
        self._rng = rng
        self._door = door
        self._rules = rules
        self._sight = Sight()
        self._strangers: anyio.Semaphore | None = None

    def client(
        self, record: PeerRecord, verdict: Verdict, way: int = 0, access: Access | None = None
    ) -> VlmClient:
        """Returns a client for a server, with the key only if the site file has this server."""
        tls = verdict.ways[way].tls if verdict.ways else None
        if access is None:
            return VlmClient(record.url, tls=tls, address_problem=self._rules.problem)
        return VlmClient(record.url, api_key=access.api_key, models=access.models, tls=tls)

    async def run(self, peer: Peer) -> None:
        """Checks a peer until its scope is cancelled."""
        try:
            with peer.scope:
                async with anyio.create_task_group() as background:
                    await self._repeat(peer, background)
        finally:
            with anyio.CancelScope(shield=True):
                await peer.client.aclose()

    async def _repeat(self, peer: Peer, background: TaskGroup) -> None:
        checks = 0
        while True:
            peer.wake = anyio.Event()
            async with AsyncExitStack() as turn:
                if not peer.is_expected:
                    self._strangers = self._strangers or anyio.Semaphore(STRANGERS)
                    await turn.enter_async_context(self._strangers)
                unsure = await self._check(peer, upload=checks % self._schedule.checks_per_upload == 0)
            checks = checks + 1 if peer.healthy else 0
            if checks == 1 and self._schedule.sight:
                background.start_soon(self._test_sight, peer)
            if unsure and peer.healthy and peer.confirmations < CONFIRMATIONS:
                peer.confirmations += 1
                await anyio.sleep(CONFIRM_S)
                continue
            if peer.healthy and not await self._pause(peer):
                peer.confirmations = 0
            if not peer.healthy:
                peer.wake = anyio.Event()
                await self._pause(peer)

    async def _pause(self, peer: Peer) -> bool:
        """Waits until the next check is due; returns whether it was requested before."""
        delay_s = self._schedule.delay_s(peer, self._rng)
        peer.next_check_at = anyio.current_time() + delay_s
        with anyio.move_on_after(delay_s) as waiting:
            await peer.wake.wait()
        return not waiting.cancelled_caught

    async def _test_sight(self, peer: Peer) -> None:
        def drop_blind() -> None:
            peer.cards = self._sight.seeing(peer.record.url, peer.cards)
            self._records.report(peer, "blind")

        with self._door.guard(f"an answer of {peer.record.id}"):
            try:
                await self._sight.test(
                    peer.record.url,
                    peer.client,
                    peer.cards,
                    drop_blind,
                    lambda model, completion: self._records.tested(peer, model, completion),
                )
            except VlmDenied as error:
                if peer.breaker.open(refused=True) and peer.healthy:
                    self._records.mark(peer, str(error))
                    peer.wake.set()

    async def _check(self, peer: Peer, *, upload: bool) -> bool:
        """Checks and probes a peer; returns whether the path should be probed again soon."""
        problem: str | None = "its reply met a fault of inarvl: see the log"
        unsure = False
        with self._door.guard(f"a reply of {peer.record.id}"):
            try:
                unsure = await self._probe_each_way(peer, upload=upload)
                problem = None
                _trust(peer)
            except VlmUntrusted as error:
                self._records.distrust(peer, str(error))
                return False
            except VlmError as error:
                problem = str(error)
                if isinstance(error, VlmTimeout):
                    self._records.lost(peer)
                elif not isinstance(error, VlmUnavailable) or error.status is not None:
                    _trust(peer)  # it has answered
                if isinstance(error, VlmDenied):
                    peer.breaker.check_refused()
        self._records.mark(peer, problem)
        return unsure

    async def _probe_each_way(self, peer: Peer, *, upload: bool) -> bool:
        """Probes a peer in the way that worked last, and then in the others until one proves who it is.

        Raises:
            VlmError: the peer cannot be used.
        """
        first: VlmUntrusted | None = None
        for _ in peer.verdict.ways:
            try:
                return await self._probe(peer, upload=upload)
            except VlmUntrusted as error:
                first = first or error
                if len(peer.verdict.ways) > 1:
                    await self._next_way(peer)
        assert first is not None, "a peer without ways is not checked"
        raise first

    async def _next_way(self, peer: Peer) -> None:
        peer.way = (peer.way + 1) % len(peer.verdict.ways)
        access = peer.access if peer.configured_by is not None else None
        before, peer.client = peer.client, self.client(peer.record, peer.verdict, peer.way, access)
        await before.aclose()

    async def _probe(self, peer: Peer, *, upload: bool) -> bool:
        """Checks and probes a peer; returns whether the estimate of the path is unsure.

        Raises:
            VlmError: the peer cannot be used.
        """
        if not peer.healthy:
            await peer.client.check_ready()
            peer.cards = self._sight.seeing(peer.record.url, await peer.client.models())
        if self._schedule.metered:
            return False
        unsure = self._records.observe(peer, await peer.client.ping())
        if self._schedule.upload_bytes and (upload or unsure):
            ping = await peer.client.ping(payload_bytes=self._schedule.upload_bytes)
            unsure = self._records.observe(peer, ping)
        await peer.read_load()
        return unsure


def _trust(peer: Peer) -> None:
    """Records that a server has proven who it is, as the way in use demands."""
    peer.trusted, peer.trust_reason = True, peer.verdict.ways[peer.way].reason
