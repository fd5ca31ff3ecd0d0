"""Power in a profile, in watts; a value in milliwatts is rejected."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

MAX_BOARD_W = 500.0
MAX_RADIO_W = 50.0


def _in_watts(max_w: float) -> AfterValidator:
    def check(power_w: float) -> float:
        if power_w > max_w:
            raise ValueError(f"{power_w:g} W is over {max_w:g} W: is the value in milliwatts? write watts")
        return power_w

    return AfterValidator(check)


Watts = Annotated[float, Field(ge=0), _in_watts(MAX_BOARD_W)]
RadioWatts = Annotated[float, Field(ge=0), _in_watts(MAX_RADIO_W)]
