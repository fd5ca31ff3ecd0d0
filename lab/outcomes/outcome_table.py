"""Published outcomes of several models on the same questions, as a trace.

Only outcomes and costs are known. A right answer is recorded as "right", and a wrong one as a text that
contains the model's name, so that two wrong answers differ. Where no image is known, the signals are those
of a plain grey one, and nothing is recognised again. `compute_ms` contains the published cost in millionths
of its unit: a cost profile uses it to rank the models of a tier, and replaces it by its own times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from controller import Signals, SignalsError, image_signals, text_signals
from lab.errors import TraceError
from lab.outcomes.read_outcomes import outcome_run
from lab.trace.trace import Run, Trace, TracedQuestion

EACH: Final = 2  # models of a tier, if none is named
MICRO: Final = 1e6


@dataclass(frozen=True)
class PublishedQuestion:
    """A question; questions with the same `group` belong together. `image` is None if it is not known."""

    id: str
    group: str
    type: str
    text: str
    image: Path | None = None


@dataclass(frozen=True)
class OutcomeTable:
    """Outcomes and costs of models on questions.

    Attributes:
        right: shape (questions, models).
        costs: shape (questions, models), in any unit of money.
    """

    questions: tuple[PublishedQuestion, ...]
    models: tuple[str, ...]
    right: NDArray[np.bool_]
    costs: NDArray[np.float64]

    def tiers(self, local: Sequence[str], cloud: Sequence[str]) -> tuple[list[str], list[str]]:
        """Returns the models of the board and of the cloud.

        If none is named for a tier, these are the cheapest models for the board, and for the cloud the most
        accurate ones among the others.

        Raises:
            TraceError: a model is unknown, or named twice.
        """
        named = [*local, *cloud]
        unknown = [model for model in named if model not in self.models]
        if unknown or len(set(named)) < len(named):
            raise TraceError(
                f"name each model once, of {', '.join(self.models)}; not {', '.join(unknown or named)}"
            )
        costs, accuracy = self.costs.mean(axis=0), self.right.mean(axis=0)
        places = {model: place for place, model in enumerate(self.models)}
        free = [model for model in self.models if model not in named]
        chosen_local = list(local) or sorted(free, key=lambda model: costs[places[model]])[:EACH]
        free = [model for model in free if model not in chosen_local]
        chosen_cloud = list(cloud) or sorted(free, key=lambda model: -accuracy[places[model]])[:EACH]
        return chosen_local, chosen_cloud

    def trace(self, local: Sequence[str], cloud: Sequence[str]) -> Trace:
        """Returns a trace with these models as arms. Raises TraceError."""
        runs: dict[str, tuple[Run | None, ...]] = {}
        for tier, models in (("local", local), ("cloud", cloud)):
            for model in models:
                column = self.models.index(model)
                runs[f"{tier}/{model}@0"] = tuple(
                    outcome_run(bool(right), model, payload_bytes=1, compute_ms=float(cost) * MICRO)
                    for right, cost in zip(self.right[:, column], self.costs[:, column], strict=True)
                )
        return Trace(tuple(_traced(question) for question in self.questions), runs)


def _traced(question: PublishedQuestion) -> TracedQuestion:
    try:
        data = GREY if question.image is None else question.image.read_bytes()
        signals = Signals(image_signals(data), text_signals(question.text))
    except (OSError, SignalsError) as error:
        raise TraceError(f"{question.image} cannot be read as an image ({error})") from error
    return TracedQuestion(
        id=question.id,
        group=question.group,
        type=question.type,
        question=question.text,
        truth="right",
        signals=signals.vector(),
        looks=signals.looks if question.image is not None else (),
    )


def _grey_image() -> bytes:
    image = BytesIO()
    Image.new("L", (256, 256), 128).save(image, "PNG")
    return image.getvalue()


GREY: Final = _grey_image()
