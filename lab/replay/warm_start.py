"""What the controller can know of the models before its first question: learned from a recorded trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from controller.controller import Controller
from controller.settings import ControllerSettings
from controller.study import Example
from lab.sim.dataset import Dataset

PASSES: Final = 2  # a label is understood better once the others are known; it still counts once in all


def knowledge_of(
    dataset: Dataset,
    settings: ControllerSettings,
    seen: Callable[[Example], Example] = lambda example: example,
) -> dict[str, object]:
    """What a controller learns of the models from all that a dataset holds; see `Controller.begin`.

    Nothing is forgotten meanwhile: the questions of a trace are of no particular time.

    Args:
        seen: what is seen of an example.
    """
    forgetting = replace(settings.forgetting, quality=1.0)
    rng = np.random.default_rng(0)
    controller = Controller(replace(settings, forgetting=forgetting), rng=rng)
    for _ in range(PASSES):
        for row in rng.permutation(len(dataset)):
            controller.study(seen(example_of(dataset, int(row))), weight=1.0 / PASSES)
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
