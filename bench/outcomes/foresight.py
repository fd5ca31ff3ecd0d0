"""How well the controller's learners would rank questions if they were told all: a bound for the curve."""

from __future__ import annotations

import numpy as np

from bench.sim.dataset import Dataset
from bench.warm_start import example_of
from controller.context import Context, Option
from controller.controller import Controller
from controller.settings import ControllerSettings


def foresight(dataset: Dataset, share: float, seed: int) -> float:
    """Accuracy above a coin's when the `share` with the greatest expected loss goes to the cloud.

    Each question is ranked before anything is known of it, by what was learned from those before it; then
    both outcomes are told, which no router is. Which ranks are high enough is known in hindsight. So a router
    that learns from the answers it has called for can hardly do better with the same learners.

    Args:
        dataset: of one arm of the board and one of the cloud.
        seed: of the order of the questions.
    """
    rng = np.random.default_rng((seed, 73))
    controller = Controller(ControllerSettings(), rng=rng)
    options = tuple(Option(arm) for arm in dataset.arms)
    board = dataset.arms[dataset.best("local")]
    order = rng.permutation(len(dataset))
    quality = np.empty(len(order))
    for number, row in enumerate(order):
        decision = controller.decide(Context(dataset.signals[row], options), now=float(number))
        quality[number] = decision.predictions[board.id].quality
        controller.study(example_of(dataset, int(row)))
    correct = dataset.correct[order].astype(np.float64)
    gain = correct[:, dataset.best("cloud")] - correct[:, dataset.best("local")]
    sent = np.argsort(quality, kind="stable")[: round(share * len(order))]
    return float(gain[sent].sum() / len(order) - share * gain.mean())
