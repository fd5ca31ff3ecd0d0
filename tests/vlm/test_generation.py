"""An answer's text, scores and end, from its tokens."""

from collections.abc import Callable, Iterable

import pytest

from vlm.generation import Transcript, Transcripts

torch = pytest.importorskip("torch")

END = 256


class Bytes:
    """A tokenizer whose tokens are bytes."""

    def decode(self, ids: Iterable[int], **_: object) -> str:
        return bytes(token for token in ids if token < END).decode(errors="replace")


def follow(tokens: bytes | list[int], *stop: str, tops: int | None = 2) -> tuple[Transcript, list[str]]:
    """Feed tokens as `generate` would, each of probability 1/2; also the pieces told on the way."""
    pieces: list[str] = []
    transcript = Transcript(
        Bytes(),
        ends=frozenset({END}),
        stop=stop,
        limit=1000,
        tops=tops,
        on_token=lambda: None,
        on_text=pieces.append,
    )
    for token in tokens:
        chances = torch.full((END + 1,), 0.5 / END)
        chances[token] = 0.5
        transcript.score(chances.log())
        if transcript.advance(token):
            break
    transcript.flush()
    return transcript, pieces


def test_the_end_token_is_no_part_of_the_answer() -> None:
    transcript, _ = follow([*b"yes", END, *b"no"])
    assert (transcript.text, transcript.tokens, len(transcript.scores)) == ("yes", 4, 3)


def test_a_stop_cuts_text_and_scores() -> None:
    transcript, pieces = follow(b"red\nUser: and", "\nUser:")
    assert transcript.finished
    assert (transcript.text, len(transcript.scores), "".join(pieces)) == ("red", 3, "red")


def test_what_only_looks_like_a_stop_is_told_later() -> None:
    _, pieces = follow(b"a##b", "###")
    assert pieces == ["a", "##b"]


def test_half_a_character_is_not_told() -> None:
    transcript, pieces = follow("né€!".encode())
    assert pieces == ["n", "é", "€", "!"]
    assert transcript.text == "né€!"


def test_what_is_pending_at_the_limit_is_told_in_the_end() -> None:
    transcript, pieces = follow(b"ab#", "##")
    assert (transcript.text, "".join(pieces)) == ("ab#", "ab#")


def test_scores_are_log_probabilities_with_the_likeliest_first() -> None:
    score = follow(b"a")[0].scores[0]
    assert score.logprob == pytest.approx(-0.6931, abs=1e-4)
    assert score.tops[0] == (score.text, score.logprob)
    assert len(score.tops) == 2


def test_without_scores_none_are_kept() -> None:
    assert follow(b"abc", tops=None)[0].scores == []


def test_what_is_raised_at_a_token_ends_this_answer_alone() -> None:
    def gone() -> None:
        raise TimeoutError

    def row(on_token: Callable[[], None], limit: int) -> Transcript:
        return Transcript(Bytes(), ends=frozenset({END}), stop=(), limit=limit, tops=None, on_token=on_token)

    rows = [row(gone, 9), row(lambda: None, 2), row(lambda: None, 9)]
    followed = Transcripts(rows)
    ended = [
        followed.advance(torch.tensor([[0, 0, token] for token in step]), None).tolist()
        for step in (b"abc", b"def", [0, 0, END])
    ]
    assert ended == [[True, False, False], [True, True, False], [True, True, True]]
    assert isinstance(rows[0].failure, TimeoutError)
    assert [one.text for one in rows] == ["", "be", "cf"]
    assert [(one.finished, one.tokens) for one in rows] == [(False, 0), (False, 2), (True, 3)]
