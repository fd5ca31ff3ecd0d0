"""The controller's warm start: what it can learn about the models from a recorded trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from controller import Controller, ControllerSettings, Example
from lab.sim.dataset import Dataset

PASSES: Final = 2  # the second pass uses what the first learned; a label still counts as one in total


def knowledge_of(
    dataset: Dataset, settings: ControllerSettings, kind: type[Controller] = Controller
) -> dict[str, object]:
    """Returns what a controller learns about the models from a dataset, for `Controller.begin`.

    Nothing is forgotten while it learns, because the questions of a trace have no time order.

    Args:
        kind: the controller, or an ablated controller that sees less of each question.
    """
    forgetting = replace(settings.forgetting, quality=1.0)
    rng = np.random.default_rng(0)
    controller = kind(replace(settings, forgetting=forgetting), rng=rng)
    for _ in range(PASSES):
        for row in rng.permutation(len(dataset)):
            controller.study(example_of(dataset, int(row)), weight=1.0 / PASSES)
    return controller.knowledge()


def example_of(dataset: Dataset, row: int) -> Example:
    """Returns a recorded question with the answers of all arms."""
    return Example(
        signals=dataset.signals[row],
        arms=dataset.arms,
        answers=dataset.answers[row],
        correct=tuple(bool(right) for right in dataset.correct[row]),
        confidences=dataset.confidences[row],
    )
