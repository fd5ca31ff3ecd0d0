"""What one answer shows of how hard a question is for the others."""

from __future__ import annotations

from typing import Final

import numpy as np

from controller.beliefs import Vector
from controller.logistic import logit, logits, sigmoids

SHARED: Final = 0.75  # of the logits by which an answer was judged worse than guessed


def harder(differ: Vector, judged: float, guessed: float) -> Vector:
    """How likely others' answers differ, once another was judged to with probability `judged`.

    What makes a question harder for one than its signals said makes it so for others, if less. An arm that
    cannot differ stays at 0.

    Args:
        differ: as guessed from the signals, shape (arms,).
        guessed: what the judged answer was held for by the signals alone.
    """
    shifted = sigmoids(logits(differ) + SHARED * (logit(judged) - logit(guessed)))
    found: Vector = np.where(differ > 0.0, shifted, 0.0)
    return found
