"""The tokens of a call are counted where its server reports them, and estimated where it does not."""

from __future__ import annotations

import pytest

from agent.spending.tokens import MAX_REPORTED, TokenForecast, Tokens, image_tokens, text_tokens
from vlm.completion import Completion, Confidence


def completion(text: str = "a red car", prompt: int | None = None, answer: int | None = None) -> Completion:
    return Completion(text, "m", 10.0, None, None, Confidence(), answer, 100, prompt_tokens=prompt)


def test_text_and_images_are_estimated_by_their_size() -> None:
    assert text_tokens("x" * 41) == 11
    assert image_tokens([(1500, 1000)], 0) == 2000
    assert image_tokens([(1500, 1000), (1000, 1500)], 750) == 1000
    assert image_tokens([(75, 10)], 750) == 1


def test_reported_tokens_are_counted() -> None:
    used = TokenForecast().used("p", "m", 100, 64, completion(prompt=700, answer=3))
    assert used == Tokens(700, 3, "counted")


@pytest.mark.parametrize("prompt", [None, MAX_REPORTED + 1])
def test_tokens_that_are_not_reported_or_not_believed_are_estimated(prompt: int | None) -> None:
    used = TokenForecast().used("p", "m", 100, 64, completion("x" * 40, prompt))
    assert used == Tokens(100, 10, "estimated")


def test_the_first_prediction_is_the_longest_answer_and_later_ones_follow_the_model() -> None:
    forecast = TokenForecast()
    assert forecast.predict("p", "m", 100, 64) == Tokens(100, 64, "estimated")
    for _ in range(5):
        forecast.used("p", "m", 100, 64, completion(prompt=700, answer=3))
    assert forecast.predict("p", "m", 50, 64) == Tokens(pytest.approx(350), pytest.approx(3), "estimated")
    assert forecast.predict("p", "m", 50, 2).output == 2
    assert forecast.predict("other", "m", 50, 64) == Tokens(50, 64, "estimated")
