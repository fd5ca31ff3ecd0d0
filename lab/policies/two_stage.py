"""Offline two-stage: minimum expected cost under an expected accuracy, fitted to the right answers.

1. Before an arm runs, its answer is right with the forecast probability p. After an answer of the board it is
   right with probability q, and the answer of a cloud arm with probability r (`answer_forecasts`).
2. With a price for each lost right answer, an answer of the board is kept if price * (1 - q) is at most
   cost + price * (1 - r) of every cloud arm; otherwise the cheapest of these is asked.
3. The arm asked first has the least cost + remaining cost. For a cloud arm the latter is price * (1 - p), for
   an arm of the board a ridge regression of what rule 2 costs, on the forecasts of all arms.
4. The price is the lowest at which the rules keep the required share of the reference's accuracy on the
   tuning half, by forecasts that did not see the question's group.

Forecasts, regression and price never change. Costs do: they are computed from the link as it was measured,
the payload and the queue, and corrected by the observed costs of each arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller import Arm, Context, DriftEvent, Execution, FollowUp, LinkState, Option, Outcome
from lab.policies.answer_forecasts import Forecasts
from lab.policies.prices import RATE, idle_price, observed_cost
from lab.policies.rival import KEEP, Choice, Rival
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix

PRICES = np.geomspace(0.5, 200.0, 50)  # of a lost right answer, in answers of the reference
RIDGE = 1.0


@dataclass(frozen=True)
class Plan:
    """The fitted parts but the forecasts.

    Attributes:
        price: of a lost right answer.
        escalated, lost: weights of the regressions, shape (features, local arms): the cost of the cloud arm
            that is asked afterwards, and the right answers that are lost.
    """

    price: float
    escalated: Matrix
    lost: Matrix


def fit_plan(tuning: Dataset, forecasts: Forecasts, costs: Matrix, floor: float) -> Plan:
    """Returns the plan with the lowest price that keeps `floor` of the reference's accuracy.

    Args:
        forecasts: for the tuning half, cross-fitted.
        costs: of each arm, shape (arms,).
    """
    reference = tuning.best_column("cloud")
    features = _features(forecasts.before)
    gram = features.T @ features + RIDGE * np.eye(features.shape[1])
    plans = []
    for price in PRICES * costs[reference]:
        column, cost, lost = _afterwards(tuning, forecasts, costs, price)
        plan = Plan(price, *np.linalg.solve(gram, np.stack([features.T @ cost, features.T @ lost])))
        accuracy = _accuracy(tuning, forecasts, costs, plan, column)
        if accuracy >= floor * tuning.correct[:, reference].mean():
            return plan
        plans.append((accuracy, plan))
    return max(plans, key=lambda found: found[0])[1]


def _afterwards(
    tuning: Dataset, forecasts: Forecasts, costs: Matrix, price: float
) -> tuple[NDArray[np.int64], Matrix, Matrix]:
    """Returns what rule 2 does after each local arm's answer, each of shape (questions, local arms).

    The column of the answer that is sent, the cost of asking for it, and the probability that it is wrong.
    """
    local, cloud = np.array(tuning.columns_of("local")), np.array(tuning.columns_of("cloud"))
    values = costs[cloud] + price * (1.0 - forecasts.asked)
    best = values.argmin(axis=2)
    keep = price * (1.0 - forecasts.kept) <= values.min(axis=2)
    asked = np.take_along_axis(forecasts.asked, best[:, :, None], axis=2)[:, :, 0]
    return (
        np.where(keep, local, cloud[best]),
        np.where(keep, 0.0, costs[cloud][best]),
        1.0 - np.where(keep, forecasts.kept, asked),
    )


def _accuracy(
    tuning: Dataset, forecasts: Forecasts, costs: Matrix, plan: Plan, sent: NDArray[np.int64]
) -> float:
    """Returns the accuracy of rules 2 and 3; `sent` is the column that rule 2 sends after each local arm."""
    remaining = plan.price * (1.0 - forecasts.before)
    features, local = _features(forecasts.before), tuning.columns_of("local")
    remaining[:, local] = features @ plan.escalated + plan.price * (features @ plan.lost)
    first = (costs + remaining).argmin(axis=1)
    everything = np.tile(np.arange(len(costs)), (len(first), 1))
    everything[:, local] = sent
    rows = np.arange(len(first))
    return float(tuning.correct[rows, everything[rows, first]].mean())


def _features(before: Matrix) -> Matrix:
    """Returns the features of the regressions: a constant, the forecasts, their logits, and squares."""
    logits = np.log(before / (1.0 - before)).clip(-6.0, 6.0) / 2.0
    return np.column_stack([np.ones(len(before)), before, logits, logits**2])


class TwoStage(Rival):
    """The policy.

    Args:
        forecasts: one row per question of the workload.
        idle: prices of the arms on idle machines.
    """

    def __init__(
        self, plan: Plan, forecasts: Forecasts, idle: Matrix, tuning: Dataset, profile: CostProfile
    ) -> None:
        super().__init__()
        self._profile, self._price = profile, plan.price
        self._columns = {arm: column for column, arm in enumerate(tuning.arms)}
        self._places = {
            tuning.arms[column]: place
            for tier in ("local", "cloud")
            for place, column in enumerate(tuning.columns_of(tier))
        }
        features = _features(forecasts.before)
        self._escalated: list[list[float]] = (features @ plan.escalated).tolist()
        self._lost: list[list[float]] = (features @ plan.lost).tolist()
        self._wrong_before: list[list[float]] = (1.0 - forecasts.before).tolist()
        self._wrong_kept: list[list[float]] = (1.0 - forecasts.kept).tolist()
        self._wrong_asked: list[list[list[float]]] = (1.0 - forecasts.asked).tolist()
        self._compute_ms: list[float] = tuning.compute_ms.mean(axis=0).tolist()
        self._idle: list[float] = idle.tolist()
        self._unmeasured = LinkState()
        self._correction = [1.0] * len(tuning.arms)
        self._costs: dict[int, dict[Arm, float]] = {}

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses by rule 3."""
        usable = frozenset(available)
        costs = {option.arm: self._cost(option) for option in context.options if option.arm in usable}
        self._costs[number] = costs
        dearer = [cost / self._idle[self._columns[arm]] for arm, cost in costs.items() if arm.tier == "cloud"]
        cloud = sum(dearer) / len(dearer) if dearer else None
        values = [cost + self._afterwards(number, arm, cloud) for arm, cost in costs.items()]
        local = [self._wrong_before[number][self._columns[arm]] for arm in costs if arm.tier == "local"]
        best = list(costs)[values.index(min(values))]
        return Choice(number, best, min(local, default=None))

    def escalate(self, decision: Choice, execution: Execution, *, now: float) -> FollowUp:
        """Keeps an answer of the board or asks the cloud, by rule 2."""
        if execution.arm.tier == "cloud":
            return KEEP
        number, place = decision.number, self._places[execution.arm]
        wrong = self._wrong_kept[number][place]
        asked = self._wrong_asked[number][place]
        values = {
            arm: cost + self._price * asked[self._places[arm]]
            for arm, cost in self._costs[number].items()
            if arm.tier == "cloud"
        }
        if values and min(values.values()) < self._price * wrong:
            return FollowUp("escalate", min(values, key=lambda arm: values[arm]), loss=wrong)
        return FollowUp("keep", loss=wrong)

    def learn(self, decision: Choice, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Corrects the costs of the arms that ran, unless they cost nothing."""
        super().learn(decision, outcome, now=now)
        expected = self._costs.pop(decision.number)
        for run in outcome.executions:
            if run.failure is None and expected[run.arm]:
                column = self._columns[run.arm]
                ratio = observed_cost(run, self._profile) / expected[run.arm]
                self._correction[column] *= 1.0 + RATE * (ratio - 1.0)
        return ()

    def _afterwards(self, number: int, arm: Arm, cloud: float | None) -> float:
        """Returns what follows after an arm: the cost of the cloud, and what lost answers cost.

        Args:
            cloud: what the cloud costs now relative to an idle one; None if it cannot be asked.
        """
        if arm.tier == "cloud" or cloud is None:
            return self._price * self._wrong_before[number][self._columns[arm]]
        place = self._places[arm]
        return cloud * self._escalated[number][place] + self._price * self._lost[number][place]

    def _cost(self, option: Option) -> float:
        column = self._columns[option.arm]
        compute_ms = self._compute_ms[column]
        cost = idle_price(
            option.arm,
            self._profile,
            compute_ms=compute_ms,
            payload_bytes=option.payload_bytes,
            link=option.link or self._unmeasured,
        )
        if option.arm.tier == "local" and option.queue:
            cost += self._profile.cost(latency_ms=option.queue * compute_ms, energy_j=0.0, calls=0)
        return cost * self._correction[column]
