"""Judges whether two answers say the same, by asking the cloud model that gave one of them.

1. The model is asked in text alone, after the reply was sent, about both orders of the two answers. It
   replies with one token; the judgement is the mean of the probabilities of "yes".
2. A model is tried on TRIAL_PAIRS before it judges for the first time, in the background. It does not judge
   if its AUROC is below MIN_AUROC, if its server refuses a question without an image, or if its replies have
   no log-probabilities. After a failure that may be temporary it is tried again later.
3. Calls and tokens are limited over time, and counted, those of trials included.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from agent.config.settings import JudgeSettings
from agent.judging.budget import Budget
from agent.judging.prompt import judge_prompt, p_yes
from agent.judging.trial import Trial, try_judge
from agent.judging.trial_pairs import TrialPair
from agent.peers.directory import ServerDirectory
from agent.sensing.call_energy import CallEnergyMeter
from agent.spending.cost import Bill
from agent.spending.spend import SpendCapReached
from agent.spending.spend_meter import Call, SpendMeter
from agent.spending.tokens import text_tokens
from controller import Arm
from inarvl.door import Door
from vlm.errors import VlmDenied, VlmError, VlmRefused, VlmUnavailable

log = logging.getLogger(__name__)

ALTERNATIVES = 5  # tokens whose probabilities are requested; some servers allow no more
TIMEOUT_S = 10.0
FIRST_RETRY_S, MAX_RETRY_S = 60.0, 3600.0
CHARACTERS_PER_TOKEN = 4  # an estimate, where a server does not report its tokens
MAX_TRIALS = 64


@dataclass
class Usage:
    """What judging has used since the start of the agent, trials included.

    Attributes:
        tokens: of prompts and replies; estimated where a server does not report them.
        energy_j: energy of the board during the calls, in joules; without calls whose energy is unknown.
        cost: of the calls, in units of the site's currency; without calls of models without a price.
    """

    calls: int = 0
    tokens: int = 0
    energy_j: float = 0.0
    cost: float = 0.0


@dataclass
class _Candidate:
    """A model that may judge, and its trial once that has ended."""

    trial: Trial | None = None
    requested: bool = False
    retry_at: float = -math.inf
    pause_s: float = FIRST_RETRY_S


class Judge:
    """Asks cloud models of the directory.

    Attributes:
        usage: what was used so far.

    Args:
        meter: counts what the calls cost, and forbids those that a cap does not allow.
        door: guards the replies of the models.
    """

    def __init__(
        self,
        settings: JudgeSettings,
        servers: ServerDirectory,
        energy_meter: CallEnergyMeter,
        *,
        meter: SpendMeter | None = None,
        door: Door | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.usage = Usage()
        self._meter = meter or SpendMeter.free()
        self._door = door or Door("replies of servers")
        self._servers = servers
        self._energy_meter = energy_meter
        self._clock = clock
        self._candidates: dict[tuple[str, str], _Candidate] = {}
        self._requests, self._requested = anyio.create_memory_object_stream[tuple[Arm, _Candidate]](
            MAX_TRIALS
        )
        self._limits: tuple[int, int] | None = None
        self.apply(settings)

    def apply(self, settings: JudgeSettings) -> None:
        """Applies the switch, and starts new budgets if a limit has changed."""
        self._enabled = settings.enabled
        limits = per_hour, per_day = settings.calls_per_hour, settings.tokens_per_day
        if limits != self._limits:
            self._limits = limits
            self._calls = Budget(per_hour / 3600, per_hour / 4, self._clock)
            self._tokens = Budget(per_day / 86_400, per_day / 4, self._clock)

    async def p_same(self, arm: Arm, question: str, one: str, other: str) -> float | None:
        """Returns the probability that two answers to `question` say the same.

        Args:
            arm: its model judges.

        Returns:
            None if that model may not judge (yet), the budget is used up, or a call failed.
        """
        candidate = self._candidate(arm)
        if candidate is None or candidate.trial is None or not candidate.trial.passed:
            return None
        if not (self._calls.allows() and self._tokens.allows()):
            return None
        try:
            return await self._both_orders(arm, question, one, other)
        except (VlmError, SpendCapReached) as error:
            log.info("%s could not judge two answers: %s", arm.model, error)
            return None

    async def run(self) -> None:
        """Tries the models that were asked to judge, one after another, until cancelled."""
        async for arm, candidate in self._requested:
            with self._door.guard(f"the judgements of {arm.id}"):
                await self._try(arm, candidate)

    def report(self) -> dict[str, Any]:
        """Returns the judges with the findings of their trials, and what was used, for telemetry."""
        models = {
            model: {"used": candidate.trial.passed, "finding": candidate.trial.finding}
            for (_url, model), candidate in self._candidates.items()
            if candidate.trial is not None
        }
        return {"enabled": self._enabled, "models": models, **asdict(self.usage)}

    def _candidate(self, arm: Arm) -> _Candidate | None:
        key = self._key(arm) if self._enabled else None
        if key is None or (key not in self._candidates and len(self._candidates) >= MAX_TRIALS):
            return None
        candidate = self._candidates.setdefault(key, _Candidate())
        if candidate.trial is None and not candidate.requested and self._clock() >= candidate.retry_at:
            candidate.requested = True
            self._requests.send_nowait((arm, candidate))
        return candidate

    def _key(self, arm: Arm) -> tuple[str, str] | None:
        peer = self._servers.registry(arm.tier).get(arm.server)
        return None if peer is None else (peer.record.url, arm.model)

    async def _try(self, arm: Arm, candidate: _Candidate) -> None:
        async def ask(pair: TrialPair) -> float | None:
            return await self._both_orders(arm, pair.question, pair.one, pair.other)

        try:
            candidate.trial = await try_judge(ask)
        except (VlmError, SpendCapReached) as error:
            if isinstance(error, VlmRefused) and not isinstance(error, VlmDenied):
                candidate.trial = Trial(False, f"it does not answer a question in text alone: {error}")
            else:
                candidate.retry_at = self._clock() + candidate.pause_s
                candidate.pause_s = min(2 * candidate.pause_s, MAX_RETRY_S)
                log.info("%s is tried as a judge again later: %s", arm.model, error)
        candidate.requested = False
        if candidate.trial is not None:
            used = "judges" if candidate.trial.passed else "does not judge"
            log.info("%s %s whether answers agree: %s", arm.model, used, candidate.trial.finding)

    async def _both_orders(self, arm: Arm, question: str, one: str, other: str) -> float | None:
        found = [await self._ask(arm, question, *pair) for pair in ((one, other), (other, one))]
        known = [p for p in found if p is not None]
        return sum(known) / 2 if len(known) == 2 else None

    async def _ask(self, arm: Arm, question: str, one: str, other: str) -> float | None:
        peer = self._servers.registry(arm.tier).get(arm.server)
        if peer is None or not peer.healthy:
            raise VlmUnavailable(f"{arm.server} is gone")
        prompt = judge_prompt(question, one, other)
        call, bill = Call(arm.tier, arm.server, arm.model, "judge", text_tokens(prompt), 1), Bill()
        async with self._meter.over(call, bill) as spent, self._energy_meter.over(arm.tier) as measured:
            self.usage.calls += 1
            self._calls.spend(1)
            completion = spent.completion = await peer.client.complete(
                prompt, None, model=arm.model, max_tokens=1, timeout_s=TIMEOUT_S, alternatives=ALTERNATIVES
            )
        self.usage.cost += bill.total.amount or 0.0
        tokens = (completion.prompt_tokens or len(prompt) // CHARACTERS_PER_TOKEN) + 1
        self.usage.tokens += tokens
        self._tokens.spend(tokens)
        self.usage.energy_j += self._energy_meter.energy(arm.tier, completion, measured).joules or 0.0
        return p_yes(completion.first_token)
