"""A call that failed costs what its provider may charge for it."""

from __future__ import annotations

import anyio
import pytest

from agent.config.settings import Settings
from agent.spending.cost import Bill, Cost
from agent.spending.price_list import PriceList
from agent.spending.spend import Spend
from agent.spending.spend_meter import Call, MeteredCall, SpendMeter
from vlm.errors import (
    VlmBusy,
    VlmDenied,
    VlmError,
    VlmRefused,
    VlmTimeout,
    VlmUnavailable,
    VlmUntrusted,
)

pytestmark = pytest.mark.anyio
PEER = {"id": "p", "url": "https://p.example.net", "prices": {"m": {"output_per_million": 1e6}}}
SETTINGS = Settings.model_validate({"device": "d", "peers": [PEER], "spend": {"per_day": 100}})
CALL = Call("cloud", "p", "m", "answer", 10, 8)  # at one unit for each token of the answer
PREDICTED = Cost(8.0, "USD", "estimated")
NOTHING = Cost(0.0, "USD", "counted")


def meter() -> tuple[SpendMeter, Spend, list[MeteredCall]]:
    spend, ended = Spend(SETTINGS.spend, lambda _content: None), list[MeteredCall]()
    found = SpendMeter(PriceList(SETTINGS, lambda _server: None), spend)
    found.ended = ended.append
    return found, spend, ended


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (VlmTimeout("it was too slow"), PREDICTED),
        (VlmError("its reply cannot be read"), PREDICTED),
        (VlmUnavailable("the connection was cut"), PREDICTED),
        (VlmRefused("its reply is empty", 200, "empty"), PREDICTED),
        (VlmRefused("the image is invalid", 400), NOTHING),
        (VlmDenied("there is no credit left", 402), NOTHING),
        (VlmBusy("its queue is full"), NOTHING),
        (VlmUnavailable("out of order", 500), NOTHING),
        (VlmUnavailable("it cannot be reached", connected=False), NOTHING),
        (VlmUntrusted("its certificate is another one"), NOTHING),
    ],
)
async def test_a_failed_call(error: VlmError, cost: Cost) -> None:
    found, spend, ended = meter()
    bill = Bill()

    async def call() -> None:
        async with found.over(CALL, bill):
            assert spend.report().today == 8.0  # reserved
            raise error

    with pytest.raises(type(error)):
        await call()
    assert bill.total == cost
    assert spend.report().today == cost.amount
    assert ended == [MeteredCall(CALL, None, cost, error.code)]


async def test_a_cancelled_call_costs_what_was_predicted() -> None:
    found, spend, ended = meter()
    with anyio.CancelScope() as scope:
        async with found.over(CALL):
            scope.cancel()
            await anyio.sleep_forever()
    assert (spend.report().today, [call.failure for call in ended]) == (8.0, ["cancelled"])
