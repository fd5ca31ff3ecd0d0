"""The confidence of an answer, as the controller uses it."""

from __future__ import annotations

import math

from controller import Confidence
from vlm.completion import Completion

MIN_PROBABILITY = 1e-9


def confidence_of(completion: Completion) -> Confidence:
    """Returns the confidence of the answer's tokens, or of the choice if the server reports that."""
    found = completion.confidence
    if not completion.choice_probabilities:
        return Confidence(found.first_token_margin, found.mean_logprob, found.tokens)
    best, *others = sorted(completion.choice_probabilities.values(), reverse=True)
    second = others[0] if others else 0.0
    return Confidence(best - second, math.log(max(best, MIN_PROBABILITY)), found.tokens)
