"""The parts of the site file about money: what models cost, and how much may be spent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from agent.config.yaml_file import Section
from inarvl.price import CURRENCY, MAX_PER_CALL, MAX_PER_MILLION, Price

Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
PerMillion = Annotated[float, Field(ge=0, le=MAX_PER_MILLION, allow_inf_nan=False)]


class PriceSettings(Section):
    """What one model costs, in units of `spend.currency`.

    Attributes:
        input_per_million, output_per_million: of a million tokens of the prompt, and of the answer.
        per_call: of each call, in addition.
    """

    input_per_million: PerMillion = 0.0
    output_per_million: PerMillion = 0.0
    per_call: float = Field(0.0, ge=0, le=MAX_PER_CALL, allow_inf_nan=False)

    @model_validator(mode="after")
    def _says_something(self) -> PriceSettings:
        if not self.model_fields_set:
            raise ValueError("name input_per_million, output_per_million or per_call; 0 if it is free")
        return self

    def price(self) -> Price:
        """Returns the price."""
        return Price(self.input_per_million, self.output_per_million, self.per_call)


class SpendSettings(Section):
    """The currency of all prices, and how much may be spent.

    Attributes:
        currency: three letters, as in ISO 4217.
        per_day: most that all calls of a day may cost, from midnight local time; None for no cap.
    """

    currency: Annotated[str, Field(pattern=f"^{CURRENCY.pattern}$")] = "USD"
    per_day: Amount | None = None
