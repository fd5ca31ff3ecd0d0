"""The arms that can be asked now: every model of every healthy server, at each of its resolutions."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, get_args

from agent.answering.arm_limits import within_limits
from agent.answering.cameras import CameraPolicy, Cameras, LocalOnly
from agent.answering.cloud_calls import CloudCallsSpent
from agent.answering.confidence import confidence_of
from agent.answering.normalise import normalise
from agent.answering.question import Question
from agent.forms.constraint import allowed, grammar, response_format
from agent.forms.form import AnswerForm
from agent.forms.value import answer_problem, unwrapped
from agent.messages.images import Mask
from agent.peers.breaker import Ended
from agent.peers.directory import ServerDirectory
from agent.peers.image_limits import ImageLimits
from agent.peers.network_path import is_late
from agent.peers.peer import Peer
from agent.sensing.call_energy import CallEnergy, CallEnergyMeter
from agent.sensing.energy_model import EnergySource
from agent.spending.spend import Purpose, SpendCapReached
from agent.spending.spend_meter import Call, SpendMeter
from agent.spending.tokens import text_tokens
from controller import Arm, Execution, Option, Tier
from inarvl.door import Door
from inarvl.errors import InarvlError
from vlm.completion import Completion, ModelCard
from vlm.errors import VlmDenied, VlmError, VlmTimeout, VlmUnavailable
from vlm.remote_values import clean_text

TIERS: tuple[Tier, ...] = get_args(Tier)
MIN_JSON_TOKENS = 16  # fewer cut off the JSON around a number or a few words
MAX_REMEMBERED = 256
INVALID = "invalid_answer"
NOT_SENT = (LocalOnly.code, CloudCallsSpent.code, SpendCapReached.code)  # failures of forbidden calls
Resolutions = Callable[[Tier, ModelCard], Sequence[int]]
MaxImages = Callable[[Tier, ModelCard], int | None]


@dataclass(frozen=True)
class Attempt:
    """One call of an arm with a question, successful or not.

    Attributes:
        text: the answer as the model wrote it, or what went wrong.
        energy_source: whether the energy was measured or modelled; None if it is unknown.
    """

    execution: Execution
    text: str
    energy_source: EnergySource | None = None


class Arms:
    """Lists the arms and asks them, counting the calls in flight per server.

    Args:
        resolutions: returns the resolutions to use for a model of a tier, in pixels of the longest side.
        max_images: returns the most images of a question to a model of a tier; None for no limit.
        cameras: what may leave the board; None for everything.
        meter: counts what the calls cost, and forbids those that a cap does not allow.
        door: guards the replies of the servers.
    """

    def __init__(
        self,
        servers: ServerDirectory,
        energy_meter: CallEnergyMeter,
        resolutions: Resolutions,
        max_images: MaxImages = lambda _tier, card: card.max_images,
        *,
        cameras: Cameras | None = None,
        meter: SpendMeter | None = None,
        door: Door | None = None,
    ) -> None:
        self._meter = meter or SpendMeter.free()
        self._cameras = cameras or Cameras.unrestricted()
        self._servers = servers
        self._energy_meter = energy_meter
        self._resolutions = resolutions
        self._door = door or Door("replies of servers")
        self._image_limits = ImageLimits(max_images)
        self._in_flight: Counter[str] = Counter()
        self._failed_on: OrderedDict[str, str] = OrderedDict()  # the first server that failed with a question

    def available(self) -> tuple[Arm, ...]:
        """Returns every model of every healthy server at each of its resolutions, within limits."""
        servers = [
            [
                Arm(tier, card.id, resolution, peer.record.id)
                for card in peer.usable_cards()
                for resolution in self._resolutions(tier, card)
            ]
            for tier in TIERS
            for peer in self._servers.registry(tier).healthy()
        ]
        return within_limits(servers)

    def resolutions(self) -> set[int]:
        """Returns the resolutions of all arms that can be asked now."""
        return {arm.resolution for arm in self.available()}

    def settled(self, tiers: Iterable[Tier] = TIERS) -> bool:
        """Returns whether the servers of `tiers` that can be asked are known; not so just after the start."""
        return all(self._servers.registry(tier).settled() for tier in tiers)

    def resting(self, tiers: Iterable[Tier] = TIERS) -> str:
        """Returns which servers of `tiers` cannot be asked now, until when, and why; empty if none."""
        return "; ".join(
            f"{peer.record.id} {until(seconds)} ({peer.problem or 'it was not checked yet'})"
            for tier in tiers
            for peer, seconds in self._servers.registry(tier).resting()
        )

    def policy(self, question: Question) -> CameraPolicy:
        """Returns the policy of the camera that asks."""
        return self._cameras.policy(question.query.client, verified=question.verified)

    def kept_on_board(self, question: Question) -> LocalOnly | CloudCallsSpent | SpendCapReached | None:
        """Returns why nothing in the cloud may be asked now; None if something may."""
        kept = self._cameras.problem(self.policy(question))
        if kept is not None:
            return kept
        problems = self._over_cap(question)
        return None if None in problems else next(iter(problems), None)

    def unaffordable(self, question: Question) -> SpendCapReached | None:
        """Returns why a model in the cloud may not be asked now, because of its price; None if all may."""
        return next((problem for problem in self._over_cap(question) if problem is not None), None)

    def _over_cap(self, question: Question) -> list[SpendCapReached | None]:
        """Returns for each arm in the cloud why it may not be asked now, because of its price."""
        if not self._meter.limited(self.policy(question).spend):
            return [None]
        named = question.query.arm
        asked = [arm for arm in self.available() if named is None or arm.is_named(named)]
        clouds = [arm for arm in asked if arm.tier == "cloud"]
        return [self._meter.problem(self._call(arm, question)) for arm in clouds]

    def _call(
        self, arm: Arm, question: Question, max_tokens: int | None = None, purpose: Purpose = "answer"
    ) -> Call:
        system = self._servers.prompt(arm.tier, arm.server) or ""
        tokens = question.input_tokens(arm.resolution) + text_tokens(system)
        limits, most = self.policy(question).spend, max_tokens or question.max_tokens
        return Call(arm.tier, arm.server, arm.model, purpose, tokens, most, limits)

    def options(self, question: Question) -> tuple[Option, ...]:
        """Returns the arms that can be asked now, each with what a call with `question` would meet now.

        Those that the camera's policy forbids are blocked.
        """
        kept = self.kept_on_board(question)
        masks: dict[Tier, Mask] = {"local": (), "cloud": () if kept else self.policy(question).mask}
        arms = self.available()
        views = {(arm.resolution, masks[arm.tier]) for arm in arms}
        payload_bytes = {view: question.payload_bytes(*view) for view in views}
        calls = {arm: self._call(arm, question) for arm in arms}
        return tuple(
            Option(
                arm,
                payload_bytes=payload_bytes[arm.resolution, masks[arm.tier]],
                queue=self._waiting(arm),
                link=self._servers.paths.to(arm.server).state() if arm.tier == "cloud" else None,
                blocked=self._barred(arm, calls[arm], question, kept),
                money=self._meter.predicted(calls[arm]),
                vouched=self._servers.vouched(arm.tier, arm.server),
            )
            for arm in arms
        )

    async def prepare(self, arm: Arm, question: Question) -> None:
        """Makes what `arm` gets of the images.

        Raises:
            BadQuery: an image cannot be decoded.
        """
        await question.images(arm.resolution, self._mask(arm, question))

    async def ask(
        self, arm: Arm, question: Question, *, max_tokens: int, timeout_s: float, purpose: Purpose = "answer"
    ) -> Attempt:
        """Asks `arm`; returns an Attempt also for a failure, since the policy learns from it as well.

        Nothing is sent to the cloud that the pin or the camera's policy forbids, whatever was decided.
        """
        with self._door.guard(f"the answer of {arm.id}"):
            call = self._call(arm, question, max_tokens, purpose)
            return await self._ask(arm, question, call, timeout_s=timeout_s)
        failed = Execution(arm, latency_ms=None, failure=VlmError.code)
        return Attempt(failed, "its answer met a fault of inarvl: see the agent's log")

    async def _ask(self, arm: Arm, question: Question, call: Call, *, timeout_s: float) -> Attempt:
        sent = await question.images(arm.resolution, self._mask(arm, question))
        registry = self._servers.registry(arm.tier)
        peer = registry.get(arm.server)
        if peer is None or not peer.healthy or peer.denies(arm.model):
            return Attempt(Execution(arm, latency_ms=None, failure="gone"), f"{arm.server} is gone")

        async def leave() -> None:
            if arm.tier == "cloud":
                if question.query.pin == "local":
                    raise LocalOnly("the query is pinned to the board")
                await self._cameras.leave(self.policy(question))

        ended: Ended = "late" if arm.tier == "cloud" else "dropped"  # if cancelled: a hedge lost
        problem = "it was too slow"
        registry.began(arm.server)
        self._in_flight[arm.server] += 1
        try:
            await leave()
            async with (
                self._meter.over(call, question.bill) as spent,
                self._energy_meter.over(arm.tier) as energy,
            ):
                completion = spent.completion = await peer.client.complete(
                    question.prompt if _follows_instructions(peer, arm.model) else question.query.question,
                    sent,
                    model=arm.model,
                    max_tokens=call.max_tokens,
                    timeout_s=timeout_s,
                    system=self._servers.prompt(arm.tier, arm.server),
                    choices=allowed(question.query.form),
                    response_format=_response_format(arm, question.query.form, call.max_tokens),
                    grammar=grammar(question.query.form),
                    before_resending=leave,
                )
        except (LocalOnly, CloudCallsSpent, SpendCapReached) as error:
            ended = "dropped"
            return Attempt(Execution(arm, latency_ms=None, failure=error.code), str(error))
        except VlmError as error:
            ended, problem = self._ended(arm, question, error), str(error)
            self._image_limits.learn(peer.record.url, arm.model, error, len(question.query.sources))
            return Attempt(Execution(arm, latency_ms=None, failure=error.code), str(error))
        else:
            ended = "answered"
        finally:
            self._in_flight[arm.server] -= 1
            registry.ended(arm.server, ended, problem, question=question.digest if ended == "failed" else "")
        return self._answered(arm, question.query.form, completion, energy)

    def _mask(self, arm: Arm, question: Question) -> Mask:
        return self.policy(question).mask if arm.tier == "cloud" else ()

    def _ended(self, arm: Arm, question: Question, error: VlmError) -> Ended:
        """Returns what the error of a call says about the server.

        A question with which one server failed says nothing about the others: it may be the cause itself.
        """
        if isinstance(error, VlmDenied):
            if error.model_only:
                self._servers.registry(arm.tier).denied(arm.server, arm.model, str(error))
            return "answered" if error.model_only else "refused"
        if isinstance(error, VlmTimeout):
            return "late"
        if not isinstance(error, VlmUnavailable) and type(error) is not VlmError:
            return "answered"  # a refusal of this request is an answer too
        if isinstance(error, VlmUnavailable) and not error.connected:
            return "unreachable"
        if self._failed_on.setdefault(question.digest, arm.server) != arm.server:
            return "dropped"
        if len(self._failed_on) > MAX_REMEMBERED:
            self._failed_on.popitem(last=False)
        return "unreachable" if isinstance(error, VlmUnavailable) and error.status is None else "failed"

    def _barred(self, arm: Arm, call: Call, question: Question, kept: InarvlError | None) -> str | None:
        """Returns why the arm cannot or may not answer this question; None if it can, as far as is known.

        Args:
            kept: why nothing in the cloud may be asked.
        """
        problem = kept if kept is not None and arm.tier == "cloud" else self._meter.problem(call)
        if problem is not None:
            return str(problem)
        named = question.query.arm
        if named is not None and not arm.is_named(named):
            return f"the query is pinned to {named}"
        return self._too_many_images(arm, question)

    def _too_many_images(self, arm: Arm, question: Question) -> str | None:
        """Returns why the model cannot answer about so many images; None if it can, as far as is known."""
        peer, sent = self._servers.registry(arm.tier).get(arm.server), len(question.query.sources)
        card = next((card for card in peer.cards if card.id == arm.model), None) if peer else None
        limit = self._image_limits.of(arm.tier, peer.record.url, card) if peer and card else None
        if limit is None or sent <= limit:
            return None
        return f"it accepts {limit} image{'s' if limit > 1 else ''} in a question, and this one has {sent}"

    def _waiting(self, arm: Arm) -> int:
        """Returns the requests at the server of `arm`: this agent's, and those of other clients if known."""
        peer = self._servers.registry(arm.tier).get(arm.server)
        return self._in_flight[arm.server] + (peer.other_requests if peer else 0)

    def _answered(self, arm: Arm, form: AnswerForm, completion: Completion, measured: CallEnergy) -> Attempt:
        server_ms = (completion.queue_ms or 0.0) + (completion.compute_ms or 0.0)
        if arm.tier == "cloud" and completion.compute_ms is not None:
            network_ms = completion.latency_ms - server_ms
            path = self._servers.paths.to(arm.server)
            path.observe_transfer(completion.request_bytes, network_ms, server_ms)
            if path.unsure or is_late(network_ms, path.state(), completion.request_bytes):
                self._servers.registry(arm.tier).probe_soon(arm.server)
        energy = self._energy_meter.energy(arm.tier, completion, measured)
        text = clean_text(unwrapped(form, completion.text))
        execution = Execution(
            arm,
            latency_ms=completion.latency_ms,
            compute_ms=completion.compute_ms,
            queue_ms=completion.queue_ms,
            energy_j=energy.joules,
            answer=normalise(text),
            confidence=confidence_of(completion),
        )
        if (problem := answer_problem(form, completion.text)) is not None:
            return Attempt(replace(execution, answer=None, failure=INVALID), problem, energy.source)
        return Attempt(execution, text, energy.source)


def _response_format(arm: Arm, form: AnswerForm, max_tokens: int) -> dict[str, Any] | None:
    """Returns the `response_format` to send.

    A number or a few words of the board are not wrapped in JSON: the controller uses the confidence of the
    first token, which would be that of a bracket.
    """
    wrapped = form.kind in ("number", "short") and arm.tier == "cloud" and max_tokens >= MIN_JSON_TOKENS
    return response_format(form) if wrapped or form.kind == "json" else None


def _follows_instructions(peer: Peer, model: str) -> bool:
    return all(card.instructions for card in peer.cards if card.id == model)


def until(seconds: float) -> str:
    """Returns when a server is checked again, on the wall clock and as a duration."""
    if not math.isfinite(seconds):
        return "until it announces itself again"
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return f"until {at:%H:%M:%S} UTC, in {math.ceil(seconds)} s"
