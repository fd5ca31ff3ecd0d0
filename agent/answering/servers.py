"""The model servers that can be asked now: the board's own and the cloud peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from agent.answering.normalise import normalise
from agent.answering.question import Question
from agent.peers.breaker import Ended
from agent.peers.path import Paths, late
from agent.peers.registry import PeerRegistry
from agent.sensing.call_energy import CallEnergy, CallEnergyMeter
from agent.sensing.energy_model import Source
from controller.arm import Arm, Tier
from controller.context import Option
from controller.outcome import Confidence, Execution
from vlm.completion import Completion, ModelCard
from vlm.errors import VlmError, VlmTimeout, VlmUnavailable

TIERS: tuple[Tier, ...] = get_args(Tier)
Resolutions = Callable[[Tier, ModelCard], Sequence[int]]


@dataclass(frozen=True)
class Attempt:
    """An execution with the answer in the model's own words, or what went wrong in ours."""

    execution: Execution
    text: str
    energy_source: Source | None = None


class Servers:
    """Lists the arms of every healthy server and runs them, keeping count of what is in flight."""

    def __init__(
        self,
        board: PeerRegistry,
        cloud: PeerRegistry,
        links: Paths,
        metering: CallEnergyMeter,
        resolutions: Resolutions,
    ) -> None:
        self._tiers: dict[Tier, PeerRegistry] = {"local": board, "cloud": cloud}
        self._links = links
        self._metering = metering
        self._resolutions = resolutions
        self._in_flight: Counter[str] = Counter()

    def arms(self) -> tuple[Arm, ...]:
        """Every model of every healthy server at each of its resolutions."""
        return tuple(
            Arm(tier, card.id, resolution, peer.record.id)
            for tier, peers in self._tiers.items()
            for peer in peers.healthy()
            for card in peer.cards
            for resolution in self._resolutions(tier, card)
        )

    def settled(self, tiers: Iterable[Tier] = TIERS) -> bool:
        """Whether it is clear which servers of `tiers` can be asked; it is not just after the start."""
        return all(self._tiers[tier].settled() for tier in tiers)

    def option(self, arm: Arm, question: Question) -> Option:
        """What using `arm` for `question` would meet now."""
        return Option(
            arm,
            payload_bytes=question.payload_bytes(arm.resolution),
            queue=self._in_flight[arm.server],
            link=self._links.to(arm.server).state() if arm.tier == "cloud" else None,
        )

    def report(self) -> list[dict[str, Any]]:
        """What is known of each server, for telemetry."""
        return [
            {
                "tier": tier,
                "id": peer.record.id,
                "url": peer.record.url,
                "healthy": peer.healthy,
                "models": [card.id for card in peer.cards],
                "link": self._link_report(peer.record.id) if tier == "cloud" else None,
            }
            for tier, peers in self._tiers.items()
            for peer in peers.known()
        ]

    def _link_report(self, server: str) -> dict[str, Any]:
        link = self._links.to(server)
        return {**asdict(link.state()), "server_ms": link.server_ms, "slow": link.slow}

    async def run(self, arm: Arm, question: Question, *, max_tokens: int, timeout_s: float) -> Attempt:
        """Ask `arm`; a failure is an Attempt too, since it is learned from as well."""
        peer = self._tiers[arm.tier].get(arm.server)
        if peer is None or not peer.healthy:
            return Attempt(Execution(arm, latency_ms=None, failure="gone"), f"{arm.server} is gone")
        peers = self._tiers[arm.tier]
        how: Ended = "late" if arm.tier == "cloud" else "dropped"  # when it is cancelled: it lost a race
        peers.began(arm.server)
        self._in_flight[arm.server] += 1
        try:
            async with self._metering.over(arm.tier) as metered:
                completion = await peer.client.complete(
                    question.query.question,
                    question.image(arm.resolution),
                    model=arm.model,
                    max_tokens=max_tokens,
                    timeout_s=timeout_s,
                )
        except VlmError as error:
            how = _ended(error)
            return Attempt(Execution(arm, latency_ms=None, failure=error.code), str(error))
        else:
            how = "answered"
        finally:
            self._in_flight[arm.server] -= 1
            peers.ended(arm.server, how)
        return self._succeeded(arm, completion, metered)

    def _succeeded(self, arm: Arm, completion: Completion, metered: CallEnergy) -> Attempt:
        server_ms = (completion.queue_ms or 0.0) + (completion.compute_ms or 0.0)
        if arm.tier == "cloud" and completion.compute_ms is not None:
            network_ms = completion.latency_ms - server_ms
            link = self._links.to(arm.server)
            link.observe_transfer(completion.request_bytes, network_ms, server_ms)
            if link.unsure or late(network_ms, link.state(), completion.request_bytes):
                self._tiers[arm.tier].look_again(arm.server)
        energy = self._metering.energy(arm.tier, completion, metered)
        execution = Execution(
            arm,
            latency_ms=completion.latency_ms,
            compute_ms=completion.compute_ms,
            queue_ms=completion.queue_ms,
            energy_j=energy.joules,
            answer=normalise(completion.text),
            confidence=Confidence(
                completion.confidence.first_token_margin,
                completion.confidence.mean_logprob,
                completion.confidence.tokens,
            ),
        )
        return Attempt(execution, completion.text, energy.source)


def _ended(error: VlmError) -> Ended:
    if isinstance(error, VlmUnavailable):
        return "unreachable"
    return "late" if isinstance(error, VlmTimeout) else "answered"  # a refusal is an answer too
