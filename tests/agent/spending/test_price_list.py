"""The site file's price wins; a peer's own is used where the site file has none, in the same currency."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from agent.config.settings import Settings
from agent.spending.price_list import PriceList
from inarvl.price import Price, Prices

CLAIM = Prices("USD", (("big", Price(9.0, 9.0)), ("small", Price(per_call=0.001))))


def settings(prices: dict[str, Any], **spend: Any) -> Settings:
    peer = {"id": "p", "url": "https://p.example.net:8020", "prices": prices}
    return Settings.model_validate({"device": "d", "peers": [peer], "spend": spend})


def prices(site: dict[str, Any], claim: Prices | None = CLAIM, **spend: Any) -> PriceList:
    return PriceList(settings(site, **spend), lambda server: claim if server == "p" else None)


def test_the_site_file_wins() -> None:
    listed = prices({"big": {"input_per_million": 0.5}})
    assert listed.of("p", "big") == Price(0.5)
    assert listed.of("p", "small") == Price(per_call=0.001)
    assert prices({"*": {"per_call": 0}}).of("p", "small") == Price()


def test_without_a_price_there_is_none() -> None:
    listed = prices({})
    assert (listed.of("p", "other"), listed.of("q", "big"), listed.in_use) == (None, None, False)


def test_a_claim_in_another_currency_is_ignored_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    listed = prices({}, currency="EUR")
    with caplog.at_level(logging.WARNING):
        assert [listed.of("p", "big") for _ in range(3)] == [None] * 3
    assert len(caplog.records) == 1
    assert "in USD, not in EUR" in caplog.text


@pytest.mark.parametrize(
    "site",
    [
        {"big": {}},
        {"big": {"per_call": -1}},
        {"big": {"per_call": "inf"}},
        {"big": {"per_month": 1}},
        {"": {}},
    ],
)
def test_an_invalid_price_is_refused_with_its_place(site: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"peers\.0\.prices"):
        settings(site)


@pytest.mark.parametrize("spend", [{"currency": "euro"}, {"per_day": -1}, {"per_week": 1}])
def test_an_invalid_cap_is_refused(spend: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="spend"):
        settings({}, **spend)
