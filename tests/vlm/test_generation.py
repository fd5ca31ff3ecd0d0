"""Text, scores and end of an answer, token by token."""

from collections.abc import Callable, Iterable

import pytest

from vlm.generation import Generation, GenerationBatch

torch = pytest.importorskip("torch")

END = 256


class Bytes:
    """A tokenizer whose tokens are bytes."""

    def decode(self, ids: Iterable[int], **_: object) -> str:
        return bytes(token for token in ids if token < END).decode(errors="replace")


def generate(
    tokens: bytes | list[int], *stop: str, top_logprobs: int | None = 2
) -> tuple[Generation, list[str]]:
    """Feeds tokens as `generate` does, each with probability 1/2. Returns also the pieces sent to on_text."""
    pieces: list[str] = []
    generation = Generation(
        Bytes(),
        end_tokens=frozenset({END}),
        stop=stop,
        max_tokens=1000,
        top_logprobs=top_logprobs,
        on_token=lambda: None,
        on_text=pieces.append,
    )
    for token in tokens:
        probabilities = torch.full((END + 1,), 0.5 / END)
        probabilities[token] = 0.5
        generation.score(probabilities.log())
        if generation.advance(token):
            break
    generation.flush()
    return generation, pieces


def test_the_end_token_is_not_part_of_the_answer() -> None:
    generation, _ = generate([*b"yes", END, *b"no"])
    assert (generation.text, generation.tokens, len(generation.scores)) == ("yes", 4, 3)


def test_a_stop_text_ends_text_and_scores() -> None:
    generation, pieces = generate(b"red\nUser: and", "\nUser:")
    assert generation.finished
    assert (generation.text, len(generation.scores), "".join(pieces)) == ("red", 3, "red")


def test_text_that_only_begins_like_a_stop_text_is_sent_later() -> None:
    _, pieces = generate(b"a##b", "###")
    assert pieces == ["a", "##b"]


def test_an_incomplete_character_is_not_sent() -> None:
    generation, pieces = generate("né€!".encode())
    assert pieces == ["n", "é", "€", "!"]
    assert generation.text == "né€!"


def test_pending_text_is_sent_at_the_end() -> None:
    generation, pieces = generate(b"ab#", "##")
    assert (generation.text, "".join(pieces)) == ("ab#", "ab#")


def test_scores_are_log_probabilities_with_the_best_first() -> None:
    score = generate(b"a")[0].scores[0]
    assert score.logprob == pytest.approx(-0.6931, abs=1e-4)
    assert score.alternatives[0] == (score.text, score.logprob)
    assert len(score.alternatives) == 2


def test_without_top_logprobs_no_scores_are_stored() -> None:
    assert generate(b"abc", top_logprobs=None)[0].scores == []


def test_an_exception_in_on_token_ends_only_this_answer() -> None:
    def timed_out() -> None:
        raise TimeoutError

    def start(on_token: Callable[[], None], max_tokens: int) -> Generation:
        return Generation(
            Bytes(),
            end_tokens=frozenset({END}),
            stop=(),
            max_tokens=max_tokens,
            top_logprobs=None,
            on_token=on_token,
        )

    generations = [start(timed_out, 9), start(lambda: None, 2), start(lambda: None, 9)]
    batch = GenerationBatch(generations)
    ended = [
        batch.advance(torch.tensor([[0, 0, token] for token in step]), None).tolist()
        for step in (b"abc", b"def", [0, 0, END])
    ]
    assert ended == [[True, False, False], [True, True, False], [True, True, True]]
    assert isinstance(generations[0].failure, TimeoutError)
    assert [one.text for one in generations] == ["", "be", "cf"]
    assert [(one.finished, one.tokens) for one in generations] == [(False, 0), (False, 2), (True, 3)]
