"""The picture test: shows a loaded model two drawn squares and asks for the colour of each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vlm.model import VisionModel
from vlm.schema import ChatRequest, Message

COLOURS = {"red": (220, 40, 40), "blue": (40, 80, 220)}
QUESTION = "what colour is the square?"
SIDE = 384
MAX_TOKENS = 24


@dataclass(frozen=True)
class PictureAnswer:
    """What a model answered to the picture of a square."""

    colour: str
    text: str
    took_s: float

    @property
    def correct(self) -> bool:
        """Whether the answer names the colour of the square, and no other colour of the test."""
        words = set(re.findall(r"[a-z]+", self.text.lower()))
        return words & COLOURS.keys() == {self.colour}


def run_picture_test(
    model: VisionModel, clock: Callable[[], float] = time.perf_counter
) -> tuple[PictureAnswer, ...]:
    """Returns an answer for each colour. Warm up the model first, or the first answer takes longer."""
    answers = []
    for colour in COLOURS:
        request = ChatRequest(None, (Message("user", (draw_square(colour), QUESTION)),))
        started_at = clock()
        answer = model.generate(
            request, max_tokens=min(MAX_TOKENS, model.card.max_tokens or MAX_TOKENS), check=lambda: None
        )
        answers.append(PictureAnswer(colour, answer.text, clock() - started_at))
    return tuple(answers)


def draw_square(colour: str) -> Image.Image:
    """Returns a picture of a square with a dark edge in the middle of a light grey ground."""
    image = Image.new("RGB", (SIDE, SIDE), (200, 200, 200))
    corners = (SIDE // 4, SIDE // 4, SIDE * 3 // 4, SIDE * 3 // 4)
    ImageDraw.Draw(image).rectangle(corners, fill=COLOURS[colour], outline=(20, 20, 20), width=3)
    return image
