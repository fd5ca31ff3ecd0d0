"""What a call of a model costs, as its provider lists it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inarvl.errors import InarvlError

MAX_PER_MILLION = 1e6
MAX_PER_CALL = 1e4
MAX_PRICED = 16
MILLION = 1e6
ALL_OTHERS = "*"
CURRENCY = re.compile(r"[A-Z]{3}")
MODEL = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,128}")  # printable ASCII without space and comma


class BadPrice(InarvlError):
    """A price is invalid."""

    code = "bad_price"


@dataclass(frozen=True)
class Price:
    """The price of a model; the constructor validates.

    Attributes:
        input_per_million, output_per_million: of a million tokens of the prompt, and of the answer.
        per_call: of each call, in addition.

    Raises:
        BadPrice: a value is negative, not finite or too large.
    """

    input_per_million: float = 0.0
    output_per_million: float = 0.0
    per_call: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            limit = MAX_PER_CALL if name == "per_call" else MAX_PER_MILLION
            valid = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= limit
            if not valid:
                raise BadPrice(f"{name} must be a number from 0 to {limit:.0f}")

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """Returns what a call with so many tokens costs."""
        tokens = input_tokens * self.input_per_million + output_tokens * self.output_per_million
        return self.per_call + tokens / MILLION


@dataclass(frozen=True)
class Prices:
    """The prices that a peer announces for its models; the constructor validates.

    Attributes:
        currency: three letters, as in ISO 4217.
        models: the price of each model, by its name; `*` for all others.

    Raises:
        BadPrice: a value is invalid, or there are more than MAX_PRICED models.
    """

    currency: str
    models: tuple[tuple[str, Price], ...]

    def __post_init__(self) -> None:
        if not CURRENCY.fullmatch(self.currency):
            raise BadPrice("the currency of prices must be three capital letters, such as EUR")
        names = [name for name, _ in self.models]
        if len({*names}) < len(names) or len(names) > MAX_PRICED or not all(map(MODEL.fullmatch, names)):
            raise BadPrice(
                f"prices are for up to {MAX_PRICED} different models, whose names have 1 to 128 printable "
                "ASCII characters, no blanks or commas"
            )

    def of(self, model: str) -> Price | None:
        """Returns the price of a model; None if it has none."""
        prices = dict(self.models)
        return prices.get(model, prices.get(ALL_OTHERS))

    def to_json(self) -> dict[str, Any]:
        """Returns the prices as an object for JSON."""
        return {"currency": self.currency, "models": {name: asdict(price) for name, price in self.models}}

    @classmethod
    def from_json(cls, value: object) -> Prices:
        """Reads that object.

        Raises:
            BadPrice: it is invalid, or has an unknown key.
        """
        if not isinstance(value, Mapping) or value.keys() != {"currency", "models"}:
            raise BadPrice("prices must be an object with currency and models")
        currency, models = value["currency"], value["models"]
        if not isinstance(currency, str) or not isinstance(models, Mapping):
            raise BadPrice("the currency of prices must be a string, and models an object")
        if len(models) > MAX_PRICED:
            raise BadPrice(f"prices are for up to {MAX_PRICED} models, not {len(models)}")
        return cls(currency, tuple((str(name), _price(price)) for name, price in models.items()))

    def to_text(self, max_bytes: int) -> str:
        """Returns the prices in one line, without those that do not fit; empty if none fits.

        The line is the currency, and for each model its name and the three numbers, separated by blanks.
        """
        text = self.currency
        for name, price in self.models:
            numbers = " ".join(f"{number:g}" for number in asdict(price).values())
            longer = f"{text} {name} {numbers}"
            if len(longer) > max_bytes:
                break
            text = longer
        return "" if text == self.currency else text

    @classmethod
    def from_text(cls, text: str) -> Prices:
        """Reads that line.

        Raises:
            BadPrice: it is invalid.
        """
        currency, *entries = text.split(" ")
        if len(entries) % 4 or len(entries) > 4 * MAX_PRICED:
            raise BadPrice("each model in prices must have three numbers")
        models = []
        for place in range(0, len(entries), 4):
            try:
                numbers = [float(number) for number in entries[place + 1 : place + 4]]
            except ValueError:
                raise BadPrice(f"the price of {entries[place][:80]} has no three numbers") from None
            models.append((entries[place], Price(*numbers)))
        return cls(currency, tuple(models))


def _price(value: object) -> Price:
    fields = Price.__dataclass_fields__
    if not isinstance(value, Mapping) or not value or not value.keys() <= fields.keys():
        raise BadPrice(f"a price must be an object with some of {', '.join(fields)}")
    return Price(**{str(name): _number(name, number) for name, number in value.items()})


def _number(name: object, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadPrice(f"{name} must be a number")
    return float(value)
