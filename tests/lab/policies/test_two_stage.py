"""The two-stage rival: its forecasts do not see what they forecast, and its price follows the floor."""

import numpy as np
import pytest

from constructed import constructed_trace
from lab.policies.answer_forecasts import AnswerForecaster, Forecasts, cross_fitted
from lab.policies.prices import idle_prices
from lab.policies.two_stage import TwoStage, fit_plan
from lab.replay.replay_result import result_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.sim.drift_scripts import STEADY
from lab.sim.simulator import replay
from lab.sim.workload import Workload


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return prepare(constructed_trace(900), JETSON_WAN)


@pytest.fixture(scope="module")
def forecasts(dataset: Dataset) -> Forecasts:
    return cross_fitted(dataset.half("tune"), "logistic")


def separation(forecast: np.ndarray, right: np.ndarray) -> float:
    return float(forecast[right].mean() - forecast[~right].mean())


def test_confidence_improves_the_forecast_of_an_answer(dataset: Dataset, forecasts: Forecasts) -> None:
    tuning = dataset.half("tune")
    for place, column in enumerate(tuning.columns_of("local")):
        right = tuning.correct[:, column]
        assert separation(forecasts.kept[:, place], right) > separation(forecasts.before[:, column], right)


def test_own_questions_are_forecast_without_their_truth(dataset: Dataset) -> None:
    tuning = dataset.half("tune")
    rng = np.random.default_rng(0)
    meaningless = Dataset(**{**vars_of(tuning), "correct": rng.random(tuning.correct.shape) < 0.5})
    seen = AnswerForecaster(meaningless, "logistic")(meaningless).before
    unseen = cross_fitted(meaningless, "logistic").before
    assert separation(seen, meaningless.correct) > 0.02
    assert separation(unseen, meaningless.correct) < 0.01


def vars_of(dataset: Dataset) -> dict[str, object]:
    return {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}


def test_a_higher_floor_has_a_higher_price_and_keeps_more(dataset: Dataset, forecasts: Forecasts) -> None:
    tuning, reported = dataset.half("tune"), dataset.half("report")
    costs = idle_prices(tuning, JETSON_WAN)
    plans = [fit_plan(tuning, forecasts, costs, floor) for floor in (0.8, 0.9, 1.0)]
    assert plans[0].price < plans[1].price < plans[2].price
    fitted = AnswerForecaster(tuning, "logistic")(reported)
    results = []
    for plan in (plans[0], plans[2]):
        workload = Workload(reported, JETSON_WAN, STEADY, count=300, seed=1)
        rows = workload.rows
        policy = TwoStage(
            plan,
            Forecasts(fitted.before[rows], fitted.kept[rows], fitted.asked[rows]),
            costs,
            tuning,
            JETSON_WAN,
        )
        results.append(result_of(replay(workload, policy, "two-stage"), workload, tuning))
    assert results[0]["correct"].mean() < results[1]["correct"].mean()
    assert results[0].cost.mean() < results[1].cost.mean()
    assert 0 < results[1]["escalated"].mean() < 1


def test_forecasts_of_a_constant_arm_are_that_constant(dataset: Dataset) -> None:
    tuning = dataset.half("tune")
    always_right = tuning.correct.copy()
    always_right[:, 0] = True
    forecasts = AnswerForecaster(Dataset(**{**vars_of(tuning), "correct": always_right}), "logistic")(tuning)
    assert forecasts.before[:, 0].min() > 0.999
