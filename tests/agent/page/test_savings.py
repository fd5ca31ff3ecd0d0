"""What the board saves, by decision records."""

from __future__ import annotations

import pytest

from agent.page.savings import Savings
from page_rig import prediction, record, run

BOARD, CLOUD = "local/small@64#board", "cloud/big@128#gpu-1"


def saved(*records: dict[str, object]) -> Savings:
    savings = Savings()
    for one in records:
        savings.add(one)
    return savings


def test_an_answer_of_the_board_saves_what_the_cloud_would_have_needed() -> None:
    savings = saved(record(run(BOARD, 10.0, 1.0)))
    assert (savings.saved_ms, savings.used_j, savings.cloud_j) == (30.0, 1.0, 2.0)


def test_an_escalation_costs_the_call_of_the_board() -> None:
    savings = saved(record(run(BOARD, 10.0, 1.0), run(CLOUD, 50.0, 3.0), chosen=1))
    assert (savings.saved_ms, savings.used_j, savings.cloud_j) == (-10.0, 4.0, 3.0)


def test_an_audit_measures_the_cloud_and_costs_energy_but_no_time() -> None:
    savings = saved(record(run(BOARD, 10.0, 1.0), run(CLOUD, 50.0, 3.0)))
    assert (savings.saved_ms, savings.used_j, savings.cloud_j) == (40.0, 4.0, 3.0)


def test_an_answer_of_the_cloud_saves_nothing() -> None:
    savings = saved(record(run(CLOUD, 50.0, 3.0)))
    assert (savings.board, savings.saved_ms, savings.used_j, savings.cloud_j) == (0, 0.0, 3.0, 3.0)


@pytest.mark.parametrize("predictions", [{}, {CLOUD: prediction(blocked="privacy")}])
def test_where_the_cloud_could_not_be_asked_nothing_counts(predictions: dict[str, object]) -> None:
    assert saved(record(predictions=predictions)).to_json()["saved_ms"] is None


def test_an_unknown_energy_counts_neither_as_used_nor_as_saved() -> None:
    savings = saved(record(run(BOARD, 10.0, None)))
    assert (savings.metered, savings.timed) == (0, 1)


def test_money_is_compared_with_the_mean_price_of_the_cloud() -> None:
    money = {"currency": "EUR", "cost_source": "counted"}
    board = record(cost=0.0, **money)
    assert saved(board).saved_cost is None
    cloud = record(run(CLOUD), cost=0.02, **money)
    assert saved(board, board, cloud).saved_cost == pytest.approx(0.04)
    assert saved(board, cloud, record(cost=3.0, currency="JPY", cost_source="counted")).saved_cost is None
