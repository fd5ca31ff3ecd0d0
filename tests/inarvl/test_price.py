"""Prices round-trip; what is not a price is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inarvl.price import MAX_PER_CALL, MAX_PRICED, BadPrice, Price, Prices

PRICES = Prices("EUR", (("big", Price(0.4, 1.2, 0.001)), ("*", Price(per_call=0.5))))


def test_a_call_costs_its_tokens_and_the_price_of_a_call() -> None:
    assert Price(2.0, 10.0, 0.5).of(1_000_000, 100_000) == 3.5


def test_prices_round_trip() -> None:
    assert Prices.from_json(PRICES.to_json()) == PRICES
    assert Prices.from_text(PRICES.to_text(200)) == PRICES


def test_a_model_without_a_price_has_that_of_all_others() -> None:
    assert [PRICES.of(name) for name in ("big", "small")] == [price for _, price in PRICES.models]
    assert Prices("EUR", PRICES.models[:1]).of("small") is None


def test_a_line_has_the_prices_that_fit() -> None:
    assert PRICES.to_text(30) == "EUR big 0.4 1.2 0.001"
    assert PRICES.to_text(10) == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"currency": "euro"},
        {"currency": 7},
        {"models": []},
        {"models": {"big": {}}},
        {"models": {"big": 5}},
        {"models": {"big": {"per_call": -1}}},
        {"models": {"big": {"per_call": float("nan")}}},
        {"models": {"big": {"per_call": True}}},
        {"models": {"big": {"per_call": "1"}}},
        {"models": {"big": {"per_call": 2 * MAX_PER_CALL}}},
        {"models": {"big": {"per_month": 1}}},
        {"models": {"a b": {"per_call": 1}}},
        {"models": {f"m{number}": {"per_call": 1} for number in range(MAX_PRICED + 1)}},
        {"discount": 1},
    ],
)
def test_invalid_prices_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadPrice):
        Prices.from_json({**PRICES.to_json(), **changed})


@pytest.mark.parametrize("text", ["EUR big 1", "EUR big a b c", "EUR big -1 0 0", "EUR big nan 0 0", "eur"])
def test_an_invalid_line_is_refused(text: str) -> None:
    with pytest.raises(BadPrice):
        Prices.from_text(text)


@given(text=st.text(max_size=300))
def test_any_line_is_read_or_refused(text: str) -> None:
    with suppress(BadPrice):
        Prices.from_text(text)
