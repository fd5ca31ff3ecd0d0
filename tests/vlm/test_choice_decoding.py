"""Choices restrict an answer, and each one has the probability that the model gives it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.choice_decoding import MAX_PASSES, Branch, ChoiceDecoding, choice_probabilities, paths_of
from vlm.choice_decoding import Path as ChoicePath
from vlm.errors import InvalidRequest
from vlm.loading import load
from vlm.model import Answer, BatchItem, VisionModel
from vlm.schema import ChatRequest, Message

torch = pytest.importorskip("torch")

Logits = Callable[[list[int]], Any]

END = 256
SPACE = 257  # a token for " y"


class Bytes:
    """A tokenizer whose tokens are bytes, and which merges " y"."""

    def encode(self, text: str, **_: object) -> list[int]:
        head, text = ([SPACE], text[2:]) if text.startswith(" y") else ([], text)
        return [*head, *text.encode()]


def paths(
    *choices: str, end: frozenset[int] = frozenset({END}), max_tokens: int = 20
) -> tuple[ChoicePath, ...]:
    return paths_of(Bytes(), choices, end, max_tokens)


def decode(paths: Sequence[ChoicePath], logits: Logits) -> tuple[ChoiceDecoding, list[int]]:
    """Decodes greedily; `logits` returns those that follow the given tokens."""
    decoding, tokens = ChoiceDecoding(paths, {END}), []
    while decoding.choice is None:
        tokens.append(int(decoding.mask(logits(tokens)).argmax()))
        decoding.advance(tokens[-1])
    return decoding, tokens


def probabilities(choices: Sequence[str], logits: Logits) -> dict[str, float]:
    decoding, _ = decode(paths(*choices), logits)
    return choice_probabilities(choices, decoding.branches, lambda part: decode(part, logits)[0].branches)


def noise(tokens: list[int]) -> Any:
    """Random logits that depend on the tokens so far."""
    generator = torch.Generator().manual_seed(hash(tuple(tokens)) % 2**31)
    return torch.randn(END + 2, generator=generator) * 2


def by_hand(choices: Sequence[str], logits: Logits) -> dict[str, float]:
    """The probability of each choice from the definition, path by path."""
    all_paths = paths(*choices)
    ended = [(path.choice, (*path.tokens, END)) for path in all_paths]
    found = dict.fromkeys(choices, 0.0)
    for choice, tokens in ended:
        probability = 1.0
        for size in range(len(tokens)):
            allowed = sorted({other[size] for _, other in ended if other[:size] == tokens[:size]})
            shares = logits(list(tokens[:size]))[allowed].softmax(-1)
            probability *= float(shares[allowed.index(tokens[size])])
        found[choice] += probability
    return found


@pytest.mark.parametrize(
    "choices",
    [
        ("yes", "no"),
        ("light blue", "light green", "red"),
        ("1", "10", "100", "12", "2"),
        ("a", "ab", "abc", "b"),
        ("yes", "yellow", "year", "maybe", "may"),
        ("only one",),
    ],
)
def test_probabilities_are_those_of_the_definition(choices: tuple[str, ...]) -> None:
    found = probabilities(choices, noise)
    assert found == pytest.approx(by_hand(choices, noise), abs=1e-6)
    assert math.fsum(found.values()) == pytest.approx(1)


def test_a_beginning_of_another_choice_is_ended_by_an_end_token() -> None:
    def prefers(*best: int) -> Logits:
        return lambda tokens: torch.tensor([1.0 if token in best else 0.0 for token in range(END + 2)])

    assert decode(paths("1", "10"), prefers(END))[1] == [*b"1", END]
    assert decode(paths("1", "10"), prefers(*b"0"))[1] == [*b"10"]


def test_a_merged_space_is_a_second_path() -> None:
    assert [path.tokens for path in sorted(paths("yes"), key=lambda path: path.tokens)] == [
        tuple(b"yes"),
        (SPACE, *b"es"),
    ]
    assert len(paths("no")) == 1


def test_logits_that_exclude_every_choice_give_equal_probabilities() -> None:
    found = probabilities(("a", "b"), lambda _: torch.full((END + 2,), -math.inf))
    assert found == {"a": 0.5, "b": 0.5}


def test_after_too_many_passes_a_branch_is_divided_equally() -> None:
    choices = [f"{first}{second}" for first in "abcdefghijkl" for second in "xy"]
    passes = []

    def decode_again(part: tuple[ChoicePath, ...]) -> list[Branch]:
        passes.append(part)
        return decode(part, noise)[0].branches

    found = choice_probabilities(choices, decode(paths(*choices), noise)[0].branches, decode_again)
    assert len(passes) == MAX_PASSES
    assert math.fsum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("choices", "options", "message"),
    [
        (("1", "10"), {"end": frozenset()}, "beginning of another"),
        (("yes", "no"), {"max_tokens": 2}, "3 tokens, more than max_tokens"),
        (("a", "ab"), {"max_tokens": 1}, "2 tokens, more than max_tokens"),
    ],
)
def test_choices_that_cannot_be_decoded_are_refused(choices: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        paths(*choices, **options)


def test_choices_that_the_vocabulary_does_not_distinguish_are_refused() -> None:
    class Unknown:
        def encode(self, _text: str, **_: object) -> list[int]:
            return [0]

    with pytest.raises(InvalidRequest, match="does not distinguish"):
        paths_of(Unknown(), ("a", "b"), frozenset({END}), 9)


@pytest.fixture(scope="module")
def model(checkpoint: Callable[[str], Path]) -> VisionModel:
    return load(Checkpoint.at(str(checkpoint("llava")), "none"), "cpu", 64, lambda _: None)


def request(question: str, *choices: str, **fields: Any) -> ChatRequest:
    image = Image.new("RGB", (32, 32), "red")
    return ChatRequest(None, (Message("user", (image, question)),), choices=choices, **fields)


def answers(model: VisionModel, *requests: ChatRequest) -> list[Answer]:
    items = [BatchItem(one, 30, lambda: None) for one in requests]
    found = model.generate_batch(items)
    assert not [answer for answer in found if isinstance(answer, Exception)]
    return found  # type: ignore[return-value]


QUESTIONS = [
    request("is it red?", "yes", "no"),
    request("what colour has the large thing?", "light blue", "light green", "red", "reddish"),
    request("how many?", "1", "10", "12", "2"),
]


def logits_of(model: VisionModel, one: ChatRequest) -> Logits:
    """The model's logits after the prompt and the given tokens, computed without a cache."""

    def logits(tokens: list[int]) -> Any:
        inputs = model._inputs([one])
        extra = torch.tensor([tokens], dtype=torch.long)
        ids = torch.cat([inputs["input_ids"], extra], 1)
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            out = model._model(input_ids=ids, attention_mask=mask, pixel_values=inputs["pixel_values"])
        return out.logits[0, -1].float()

    return logits


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.choices[0])
def test_a_model_gives_each_choice_its_probability(model: VisionModel, one: ChatRequest) -> None:
    tokenizer, end = model._processor.tokenizer, sorted(model._end_tokens)
    tokens = {choice: tokenizer.encode(choice, add_special_tokens=False) + end[:1] for choice in one.choices}
    logits, expected = logits_of(model, one), {}
    for choice, ids in tokens.items():
        expected[choice] = 1.0
        for size in range(len(ids)):
            allowed = sorted({other[size] for other in tokens.values() if other[:size] == ids[:size]})
            if len(allowed) > 1:
                shares = logits(ids[:size])[allowed].softmax(-1)
                expected[choice] *= float(shares[allowed.index(ids[size])])
    (answer,) = answers(model, one)
    assert answer.choice_probabilities == pytest.approx(expected, abs=2e-3)
    assert answer.text == max(expected, key=lambda choice: expected[choice])
    assert answer.finish_reason == "stop"


def test_a_batch_with_different_choices_gives_the_same_as_one_by_one(model: VisionModel) -> None:
    alone = [answers(model, one)[0] for one in QUESTIONS]
    together = answers(model, *QUESTIONS, request("what?"))
    for one, other in zip(alone, together, strict=False):
        assert (one.text, one.completion_tokens) == (other.text, other.completion_tokens)
        assert one.choice_probabilities == pytest.approx(other.choice_probabilities, abs=1e-3)
    assert together[-1].choice_probabilities is None
    assert together[-1].completion_tokens == 30


def test_the_scores_belong_to_the_answer(model: VisionModel) -> None:
    for one in QUESTIONS:
        (answer,) = answers(model, request("which?", *one.choices, top_logprobs=2))
        assert answer.scores is not None
        assert "".join(score.text for score in answer.scores) == answer.text


def test_a_sampled_answer_is_a_choice_and_the_text_is_sent_as_a_whole(model: VisionModel) -> None:
    pieces: list[str] = []
    sampled = request("what?", "light blue", "light green", "red", temperature=1.0, seed=3)
    answer = model.generate(sampled, max_tokens=30, check=lambda: None, on_text=pieces.append)
    assert answer.text in sampled.choices
    assert pieces == [answer.text]


def test_a_control_token_in_a_choice_is_refused(model: VisionModel) -> None:
    with pytest.raises(InvalidRequest, match="control token"):
        model.generate(request("what?", "<image>", "b"), max_tokens=30, check=lambda: None)


@pytest.mark.skipif("inarvl-edge-swift" not in bundled.names(), reason="no bundled checkpoint")
def test_a_bundled_model_answers_yes_or_no() -> None:
    path = str(bundled.path("inarvl-edge-swift"))
    edge = load(Checkpoint.at(path, "nf4"), "cpu", 16, lambda _: None)
    (answer,) = answers(edge, request("can a red circle be seen?", "yes", "no"))
    assert answer.text in ("yes", "no")
    assert answer.choice_probabilities is not None
    assert math.fsum(answer.choice_probabilities.values()) == pytest.approx(1)
    assert answer.completion_tokens == 1
