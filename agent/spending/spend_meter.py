"""Measures the tokens and the cost of each call, and prevents calls that a cap does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from agent.config.settings import Settings
from agent.spending.cost import Bill, Cost
from agent.spending.price_list import PriceList
from agent.spending.spend import Purpose, Spend, SpendCapReached, SpendLimit
from agent.spending.tokens import TokenForecast, Tokens
from controller import Tier
from inarvl.errors import InarvlError
from inarvl.price import Price
from vlm.completion import Completion
from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmUnavailable

FREE = Price()
CANCELLED = "cancelled"


@dataclass(frozen=True)
class Call:
    """A call that is about to be made.

    Attributes:
        input_tokens: of its prompt, estimated.
        limits: on what may be spent for its camera.
    """

    tier: Tier
    server: str
    model: str
    purpose: Purpose
    input_tokens: float
    max_tokens: int
    limits: tuple[SpendLimit, ...] = ()


class MeteredCall(NamedTuple):
    """A call that has ended.

    Attributes:
        tokens: None if it was not answered.
        failure: an error code; None if it was answered.
    """

    call: Call
    tokens: Tokens | None
    cost: Cost
    failure: str | None = None


class Meter:
    """Receives the completion of one call."""

    def __init__(self) -> None:
        self.completion: Completion | None = None


class SpendMeter:
    """Measures the calls to both tiers.

    Attributes:
        ended: called with each call that has ended.
    """

    def __init__(self, prices: PriceList, spend: Spend) -> None:
        self.ended: Callable[[MeteredCall], None] = lambda _call: None
        self._prices = prices
        self._spend = spend
        self._forecast = TokenForecast()

    @classmethod
    def free(cls) -> SpendMeter:
        """Returns a meter of calls without prices and caps."""
        settings = Settings(device="none")
        return cls(PriceList(settings, lambda _server: None), Spend(settings.spend, lambda _content: None))

    def limited(self, limits: Sequence[SpendLimit]) -> bool:
        """Returns whether a cap applies to calls with these limits."""
        return self._spend.limited(limits)

    def predicted(self, call: Call) -> float:
        """Returns what a call is expected to cost; 0 for a model without a price."""
        price = self._price(call)
        return 0.0 if price is None else price.of(*self._predicted(call)[:2])

    def problem(self, call: Call) -> SpendCapReached | None:
        """Returns why a call may not be made now; None if it may."""
        if call.tier == "local" or not self._spend.limited(call.limits):
            return None
        return self._spend.problem(self._most(call), call.limits)

    @asynccontextmanager
    async def over(self, call: Call, bill: Bill | None = None) -> AsyncIterator[Meter]:
        """Measures the call in the body, which passes its completion to the meter.

        Args:
            bill: to which the cost is added.

        Raises:
            SpendCapReached: the call may not be made.
        """
        meter, price, charged, failure = Meter(), self._price(call), True, CANCELLED
        reservation = None
        if price is not None and call.tier == "cloud":
            reservation = await self._spend.reserve(self._most(call), call.limits, call.purpose)
        try:
            yield meter
        except InarvlError as error:
            charged, failure = isinstance(error, VlmError) and _is_charged(error), error.code
            raise
        finally:
            tokens = self._used(call, meter.completion)
            cost = self._cost(call, price, (tokens or self._predicted(call)) if charged else None)
            if reservation is not None:
                self._spend.settle(reservation, cost.amount or 0.0)
            if bill is not None:
                bill.add(cost)
            self.ended(MeteredCall(call, tokens, cost, None if meter.completion else failure))

    def count(self, call: Call, completion: Completion) -> None:
        """Counts a call that was made without asking whether it may be."""
        tokens = self._used(call, completion)
        cost = self._cost(call, self._price(call), tokens or self._predicted(call))
        self._spend.add(cost.amount or 0.0, call.purpose)
        self.ended(MeteredCall(call, tokens, cost))

    def _price(self, call: Call) -> Price | None:
        return FREE if call.tier == "local" else self._prices.of(call.server, call.model)

    def _predicted(self, call: Call) -> Tokens:
        return self._forecast.predict(call.server, call.model, call.input_tokens, call.max_tokens)

    def _most(self, call: Call) -> float:
        """Returns the most that a call can be expected to cost: an answer of the greatest length."""
        price = self._price(call)
        return 0.0 if price is None else price.of(self._predicted(call).input, call.max_tokens)

    def _cost(self, call: Call, price: Price | None, tokens: Tokens | None) -> Cost:
        """Returns the cost of a call with these tokens; without tokens it was not charged."""
        currency = self._prices.currency
        if price is None or (call.tier == "local" and not self._prices.in_use):
            return Cost(None, currency, "counted")
        if tokens is None:
            return Cost(0.0, currency, "counted")
        by_tokens = price.input_per_million > 0 or price.output_per_million > 0
        source = tokens.source if by_tokens else "counted"
        return Cost(price.of(tokens.input, tokens.output), currency, source)

    def _used(self, call: Call, completion: Completion | None) -> Tokens | None:
        if completion is None:
            return None
        return self._forecast.used(call.server, call.model, call.input_tokens, call.max_tokens, completion)


def _is_charged(error: VlmError) -> bool:
    """Returns whether the provider may charge for a call that failed: the model may have computed for it."""
    if isinstance(error, VlmUnavailable):
        return error.connected and error.status is None
    return not isinstance(error, VlmBusy) and not (isinstance(error, VlmRefused) and error.status != 200)
