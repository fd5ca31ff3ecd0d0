"""A known peer, and how often peers are checked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio
import numpy as np

from agent.peers.access import Access
from agent.peers.breaker import TRIALS, Breaker
from agent.peers.trust import Verdict
from cloud.peer import PeerRecord
from inarvl.rate_limit import RateLimit
from vlm.client import ModelCard, VlmClient
from vlm.errors import VlmError

PROBE_BYTES = 32_768
FIRST_REST_S, MAX_REST_S, REST_GROWTH = 60.0, 3600.0, 4.0  # of a server that refuses the caller
MODEL_REST_S = 3600.0


@dataclass(frozen=True)
class CheckSchedule:
    """How often peers are checked.

    Attributes:
        check_s: seconds between checks of a healthy peer.
        first_retry_s, max_retry_s: seconds between checks of an unhealthy peer, at first and at most.
        checks_per_upload: number of checks from one upload to the next.
        upload_bytes: size of an upload, 0 for none.
        metered: whether the link is metered: no pings or uploads, and healthy peers are not checked.
        trials: maximum number of calls in flight to a peer whose breaker is half open.
        naming_s: seconds after the start in which the sources name the peers that exist already.
        sight: whether models are tested for sight.
    """

    check_s: float = 5.0
    first_retry_s: float = 0.5
    max_retry_s: float = 30.0
    checks_per_upload: int = 12
    upload_bytes: int = PROBE_BYTES
    metered: bool = False
    trials: int = TRIALS
    naming_s: float = 0.0
    sight: bool = False

    def delay_s(self, peer: Peer, rng: np.random.Generator) -> float:
        """Returns the seconds until the next check of a peer, jittered if it is not healthy."""
        if peer.healthy:
            return math.inf if self.metered else self.check_s
        refusals = peer.breaker.refusals
        if refusals:
            rest_s = min(FIRST_REST_S * REST_GROWTH ** min(refusals - 1, 8), MAX_REST_S)
            return float(rest_s * rng.uniform(0.8, 1.0))
        doubled = self.first_retry_s * 2 ** min(max(0, peer.failures - 1), 16)
        return float(min(doubled, self.max_retry_s) * rng.uniform(0.5, 1.0))


@dataclass
class Peer:
    """A known peer.

    Attributes:
        sources: the sources that name it now; empty after its announcement expired.
        verdict: the ways in which it may be connected to; without any it is sent nothing.
        configured_by: the source that chooses its models and its key; None if it was only announced.
        access: what that source says.
        way: the place in the verdict's ways of the one in use.
        trusted: whether it has proven who it is, or needs not.
        trust_reason: why it is trusted, or not.
        was_healthy: whether it has ever been healthy.
        cards: the models that it reported, without those that do not see.
        healthy: whether it passed its last check and its breaker has not opened since.
        checked: whether it has been checked at least once.
        problem: why it is not healthy; None before the first check and while it is healthy.
        next_check_at: when an unhealthy peer is checked again, in seconds on the event loop's clock.
        denied_models: models that the server refuses to the caller, and until when they are not asked, in
            seconds on the monotonic clock.
        failures: failed checks in a row, or openings of its breaker if more; each doubles the delay.
        other_requests: requests of other clients at its last check; 0 if it does not report them.
        confirmations: probes since the last ordinary check that were made early.
        wake: set to check it before the next check is due.
        log_limit: limits how often a changed problem is logged.
    """

    record: PeerRecord
    client: VlmClient
    sources: set[str]
    verdict: Verdict
    configured_by: str | None = None
    access: Access = field(default_factory=Access)
    way: int = 0
    trusted: bool = True
    trust_reason: str = ""
    was_healthy: bool = False
    cards: tuple[ModelCard, ...] = ()
    healthy: bool = False
    checked: bool = False
    problem: str | None = None
    next_check_at: float | None = None
    denied_models: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    other_requests: int = 0
    confirmations: int = 0
    breaker: Breaker = field(default_factory=Breaker)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    wake: anyio.Event = field(default_factory=anyio.Event)
    log_limit: RateLimit = field(default_factory=partial(RateLimit, 3, 60.0))

    @property
    def is_proven(self) -> bool:
        """Whether it was healthy, or has proven who it is."""
        return self.was_healthy or (self.trusted and not self.verdict.trusted)

    @property
    def is_expected(self) -> bool:
        """Whether somebody has named it, or it is proven: strangers do not take its place."""
        return self.configured_by is not None or self.verdict.pinned or self.is_proven

    @property
    def rank(self) -> tuple[bool, ...]:
        """The greatest is used, if several servers have the same id."""
        return (self.configured_by is not None, self.healthy, self.is_expected, bool(self.verdict.ways))

    async def read_load(self) -> None:
        """Reads how many requests of other clients the server has; a busy one may answer too late."""
        with suppress(VlmError):
            load = await self.client.load()
            self.other_requests = max(0, (load or 0) - self.breaker.open_calls)

    def usable_cards(self, clock: Callable[[], float] = time.monotonic) -> tuple[ModelCard, ...]:
        """Returns the models that can be asked now."""
        return tuple(card for card in self.cards if not self.denies(card.id, clock))

    def denies(self, model: str, clock: Callable[[], float] = time.monotonic) -> bool:
        """Returns whether a model is not asked now, because the server refused it to the caller."""
        return clock() < self.denied_models.get(model, -math.inf)

    def deny(self, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Does not ask a model for MODEL_REST_S, because its server refuses it to the caller."""
        self.denied_models[model] = clock() + MODEL_REST_S
