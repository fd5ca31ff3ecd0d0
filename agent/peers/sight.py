"""Finds the models of peers that do not see: text models, whose servers refuse images or drop them silently.

1. Each model is asked once per run of the agent which colour a square has, in a red and in a blue picture.
2. A model does not see if both answers are the same text, or if the server refuses images.
3. After any other failure, and before it was asked, a model counts as one that sees.
4. Models of inarvl's own server, which serves no others, are not asked; it names their resolutions.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from PIL import Image, ImageDraw

from vlm.client import ModelCard, VlmClient
from vlm.completion import Completion
from vlm.errors import VlmDenied, VlmError, VlmRefused, VlmUnavailable

log = logging.getLogger(__name__)

QUESTION: Final = "What color is the square? Answer with one word."
COLOURS: Final = ("red", "blue")
SIZE: Final = 224
TIMEOUT_S: Final = 10.0
MAX_TOKENS: Final = 64  # enough for a sentence, in which the colour may be last
MAX_ASKED: Final = 1024
REFUSING_STATUS: Final = {400, 404, 405, 415, 422, 500, 501}
IMAGES: Final = re.compile(
    r"image|vision|visual|multi.?modal|\bcontent\W.{0,20}must be a string", re.IGNORECASE
)
UNSUPPORTED: Final = re.compile(
    r"(\bnot|cannot|n't|\bno\b.{0,40}|\bonly|\bun)\W*((currently|be|been)\W+)*(support|enabled|allow|accept|permitted)"
    r"|\bnot an? (multi.?modal|vision)|unknown variant|missing data|must be a string",
    re.IGNORECASE,
)
Answered = Callable[[str, Completion], None]


class Sight:
    """Which models of peers do not see, by the URL of their server."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()
        self._blind: set[tuple[str, str]] = set()

    def seeing(self, url: str, cards: Iterable[ModelCard]) -> tuple[ModelCard, ...]:
        """Returns the models that are not known not to see."""
        return tuple(card for card in cards if (url, card.id) not in self._blind)

    async def test(
        self,
        url: str,
        client: VlmClient,
        cards: Iterable[ModelCard],
        blind: Callable[[], None],
        answered: Answered = lambda _model, _completion: None,
    ) -> None:
        """Asks the models that were not asked yet, one after another.

        Args:
            blind: called after each model that does not see.
            answered: called with the name of a model and each of its answers.

        Raises:
            VlmDenied: the server refuses the caller.
        """
        for card in cards:
            if card.resolutions or (url, card.id) in self._asked or len(self._asked) >= MAX_ASKED:
                continue
            self._asked.add((url, card.id))
            reason = await _why_blind(client, card.id, answered)
            if reason is not None:
                log.warning("model %s of %s is not used, because it does not see: %s", card.id, url, reason)
                self._blind.add((url, card.id))
                blind()


async def _why_blind(client: VlmClient, model: str, answered: Answered) -> str | None:
    """Returns what shows that a model does not see; None if nothing does.

    Raises:
        VlmDenied: the server refuses the caller.
    """
    answers = []
    for colour in COLOURS:
        try:
            completion = await client.complete(
                QUESTION, _square(colour), model=model, max_tokens=MAX_TOKENS, timeout_s=TIMEOUT_S
            )
        except VlmDenied as error:
            if not error.model_only:
                raise
            return None
        except (VlmRefused, VlmUnavailable) as error:
            return f"its server refuses images ({error})" if _refuses_images(error) else None
        except VlmError:
            return None
        answered(model, completion)
        answers.append(completion.text.strip())
    if answers[0] and answers[0] == answers[1]:
        return f"its answer to two different pictures is {answers[0][:80]!r}"
    return None


def _refuses_images(error: VlmRefused | VlmUnavailable) -> bool:
    message = str(error).partition(": ")[2]  # without the server's URL
    named = IMAGES.search(message) is not None and UNSUPPORTED.search(message) is not None
    return named and error.status in REFUSING_STATUS


@cache
def _square(colour: str) -> bytes:
    """Returns a JPEG with a square in this colour on white."""
    image = Image.new("RGB", (SIZE, SIZE), "white")
    ImageDraw.Draw(image).rectangle((SIZE // 4, SIZE // 4, 3 * SIZE // 4, 3 * SIZE // 4), fill=colour)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
