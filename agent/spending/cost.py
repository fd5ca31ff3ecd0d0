"""What calls have cost."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Source = Literal["counted", "estimated"]


class Cost(NamedTuple):
    """What one or more calls have cost.

    Attributes:
        amount: in units of `currency`; None if a call went to a model without a price.
        currency: three letters, as in ISO 4217.
        source: `counted` if the servers reported their tokens, or the price does not depend on them.
    """

    amount: float | None
    currency: str
    source: Source

    def to_json(self) -> dict[str, Any]:
        """Returns the fields of a reply; none if the amount is unknown."""
        if self.amount is None:
            return {}
        return {"cost": self.amount, "currency": self.currency, "cost_source": self.source}


class Bill:
    """The calls for one question, those that failed or were cancelled included."""

    def __init__(self) -> None:
        self._costs: list[Cost] = []

    def add(self, cost: Cost) -> None:
        """Adds a call."""
        self._costs.append(cost)

    @property
    def total(self) -> Cost:
        """What all calls so far have cost."""
        amounts = [cost.amount for cost in self._costs]
        known = [amount for amount in amounts if amount is not None]
        estimated = any(cost.source == "estimated" for cost in self._costs)
        total = round(sum(known), 9) if len(known) == len(amounts) else None
        currency = self._costs[-1].currency if self._costs else ""
        return Cost(total if self._costs else None, currency, "estimated" if estimated else "counted")
