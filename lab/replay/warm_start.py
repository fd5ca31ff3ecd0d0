"""What the controller can know of the models before its first question: learned from a recorded trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from controller import Controller, ControllerSettings, Example
from lab.sim.dataset import Dataset

PASSES: Final = 2  # a label is understood better once the others are known; it still counts once in all


def knowledge_of(
    dataset: Dataset, settings: ControllerSettings, kind: type[Controller] = Controller
) -> dict[str, object]:
    """What a controller learns of the models from all that a dataset holds; see `Controller.begin`.

    Nothing is forgotten meanwhile: the questions of a trace are of no particular time.

    Args:
        kind: the controller, or an ablated one, which sees less of each question.
    """
    forgetting = replace(settings.forgetting, quality=1.0)
    rng = np.random.default_rng(0)
    controller = kind(replace(settings, forgetting=forgetting), rng=rng)
    for _ in range(PASSES):
        for row in rng.permutation(len(dataset)):
            controller.study(example_of(dataset, int(row)), weight=1.0 / PASSES)
    return controller.knowledge()


def example_of(dataset: Dataset, row: int) -> Example:
    """A recorded question, with what every arm answered."""
    return Example(
        signals=dataset.signals[row],
        arms=dataset.arms,
        answers=dataset.answers[row],
        correct=tuple(bool(right) for right in dataset.correct[row]),
        confidences=dataset.confidences[row],
    )
