"""ParetoBandit from its own package (`paretobandit` on PyPI): discounted LinUCB with a cost penalty."""

from __future__ import annotations

import logging

from pareto_bandit import BanditRouter
from pareto_bandit.config import BEST_K3_TABULA_RASA_HPARAMS
from pareto_bandit.feature_service import FeatureService
from pareto_bandit.types import RouterConfig

from lab.policies.bandit import Bandit, Truth
from lab.policies.prices import Prices
from lab.sim.dataset import Dataset, Matrix

PER_MILLION = 1e3  # the package's prices are per million tokens; ours count as per 1,000
REPRICE_EVERY = 25
logging.getLogger("pareto_bandit").setLevel(logging.ERROR)


class ParetoBandit(Bandit):
    """The package's router with its published cold-start settings; the knob is its cost penalty.

    Its cost anchors span the arms' idle prices. Its prices are updated as the observed prices change.
    """

    def __init__(self, tuning: Dataset, truth: Truth, prices: Prices, knob: float, *, seed: int) -> None:
        super().__init__(tuning, truth, prices, knob)
        self._names = [arm.skill for arm in self.arms]
        self._router = make_router(self._names, prices.now, tuning.matrix.shape[1] + 1, knob, seed)
        self._requests: dict[int, tuple[str, int]] = {}
        self._local = tuning.best_column("local")
        self._learned = 0

    def pick(self, number: int, x: Matrix, available: list[int]) -> tuple[int, float | None]:
        """Returns the router's choice; if it is blocked, the available arm with the best expected reward."""
        name, log = self._router.route(x)
        column = self._names.index(name)
        expected = self._router.bandit.get_expected_reward
        risk = 1.0 - float(expected(self._names[self._local], x))
        if column not in available:
            return max(available, key=lambda other: float(expected(self._names[other], x))), risk
        self._requests[number] = log.request_id, column
        return column, risk

    def observe(self, number: int, x: Matrix, column: int, right: bool, cost: float) -> None:
        """Passes on the feedback; for an arm that the router did not choose, updates its model directly."""
        request, routed = self._requests.pop(number, ("", -1))
        if routed == column:
            self._router.process_feedback(request, float(right))
        else:
            self._router.update(self._names[column], x, float(right))
        self._learned += 1
        if self._learned % REPRICE_EVERY == 0:
            for name, price in zip(self._names, self.prices.now.tolist(), strict=True):
                pricing = price * PER_MILLION
                self._router.update_model_pricing(name, input_cost_per_m=pricing, output_cost_per_m=pricing)


def make_router(names: list[str], prices: Matrix, size: int, penalty: float, seed: int) -> BanditRouter:
    """Returns a router over the named arms, for feature vectors of `size` entries, the first of them 1."""
    registry = {
        name: {"input_cost_per_m": price * PER_MILLION, "output_cost_per_m": price * PER_MILLION}
        for name, price in zip(names, prices.tolist(), strict=True)
    }
    return BanditRouter.create(
        model_registry=registry,
        priors="none",
        feature_service=FeatureService.for_precomputed(dimension=size),
        alpha=BEST_K3_TABULA_RASA_HPARAMS["alpha"],
        forgetting_factor=BEST_K3_TABULA_RASA_HPARAMS["forgetting_factor"],
        cost_penalty=penalty,
        bandit_seed=seed,
        config=RouterConfig(market_cost_floor=float(prices.min()), market_cost_ceiling=float(prices.max())),
    )
