"""How many tokens a call has: before it, and after it where the server does not report them.

A text has about one token per CHARACTERS_PER_TOKEN characters, an image about one per PIXELS_PER_TOKEN pixels
(https://docs.anthropic.com/en/docs/build-with-claude/vision). Models differ by a factor of ten, so the ratio
of the reported tokens to this estimate is learned for each model of a server, and so is the answer's length.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.spending.cost import Source
from vlm.completion import Completion

CHARACTERS_PER_TOKEN = 4
PIXELS_PER_TOKEN = 750
RATE = 0.1
MIN_RATIO, MAX_RATIO = 0.01, 100.0
MAX_REPORTED = 2_000_000  # tokens of one call; a server that reports more is not believed
MAX_MODELS = 256


class Tokens(NamedTuple):
    """The tokens of one call."""

    input: float
    output: float
    source: Source


def text_tokens(text: str) -> int:
    """Estimates the tokens of a text."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def image_tokens(sizes: Iterable[tuple[int, int]], resolution: int) -> int:
    """Estimates the tokens of images of these widths and heights.

    Args:
        resolution: to which their longest side is reduced, in pixels; 0 if it is not.
    """
    pixels = 0.0
    for width, height in sizes:
        scale = min(1.0, resolution / max(width, height, 1)) if resolution else 1.0
        pixels += width * height * scale**2
    return math.ceil(pixels / PIXELS_PER_TOKEN)


@dataclass
class _Learned:
    ratio: float = 1.0
    output: float | None = None


class TokenForecast:
    """Predicts the tokens of calls, and learns from those that servers report."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, str], _Learned] = OrderedDict()

    def predict(self, server: str, model: str, estimated: float, max_tokens: int) -> Tokens:
        """Predicts the tokens of a call.

        Args:
            estimated: tokens of its prompt, by `text_tokens` and `image_tokens`.
            max_tokens: of its answer, which it is predicted to need until a first answer is known.
        """
        learned = self._models.get((server, model)) or _Learned()
        output = max_tokens if learned.output is None else min(max_tokens, learned.output)
        return Tokens(estimated * learned.ratio, output, "estimated")

    def used(
        self, server: str, model: str, estimated: float, max_tokens: int, completion: Completion
    ) -> Tokens:
        """Returns the tokens of a call, and learns from those that the server reports."""
        predicted = self.predict(server, model, estimated, max_tokens)
        learned = self._models.setdefault((server, model), _Learned())
        self._models.move_to_end((server, model))
        if len(self._models) > MAX_MODELS:
            self._models.popitem(last=False)
        reported = _believed(completion.prompt_tokens), _believed(completion.completion_tokens)
        if reported[0] is not None and estimated > 0:
            ratio = min(MAX_RATIO, max(MIN_RATIO, reported[0] / estimated))
            learned.ratio += RATE * (ratio - learned.ratio) if learned.output is not None else ratio - 1.0
        output = reported[1] if reported[1] is not None else max(1, text_tokens(completion.text))
        before = output if learned.output is None else learned.output
        learned.output = before + RATE * (output - before)
        if reported[0] is None or reported[1] is None:
            return Tokens(predicted.input if reported[0] is None else reported[0], output, "estimated")
        return Tokens(reported[0], reported[1], "counted")


def _believed(tokens: int | None) -> int | None:
    return None if tokens is None or tokens > MAX_REPORTED else tokens
