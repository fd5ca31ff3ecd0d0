"""Checkpoints of each family load, are quantized, and answer with log-probabilities, without torchvision."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from vlm.checkpoint import Checkpoint, Quantization
from vlm.errors import InvalidRequest
from vlm.families import family_of
from vlm.loading import load
from vlm.model import Answer, BatchItem, VisionModel
from vlm.schema import ChatRequest, Message
from vlm.worker import Abandoned

Build = Callable[[str], Path]


def loaded(folder: Path, quantization: Quantization = "none", max_tokens: int = 32) -> VisionModel:
    return load(Checkpoint.at(str(folder), quantization), "cpu", max_tokens, lambda _share: None)


def question(*parts: str | Image.Image, side: int = 60, top_logprobs: int | None = 2) -> ChatRequest:
    image = Image.new("RGB", (side, side // 2), "red")
    return ChatRequest(
        None, (Message("user", (image, *(parts or ("how many?",)))),), top_logprobs=top_logprobs
    )


def no_check() -> None:
    """A check that never ends an answer."""


@pytest.mark.parametrize("family", ["llava", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_quantized_model_answers_with_scores(checkpoint: Build, family: str) -> None:
    model = loaded(checkpoint(family), "nf4")
    answer = model.generate(question(), max_tokens=6, check=no_check)
    assert model.card.quantization == "nf4"
    assert (answer.completion_tokens, answer.finish_reason) == (6, "length")
    assert answer.scores
    for score in answer.scores:
        assert len(score.alternatives) == 2
        best = max(logprob for _, logprob in score.alternatives)
        assert score.logprob == best <= 0  # greedy decoding selects the best


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_quantization_replaces_the_linear_layers(checkpoint: Build, quantization: Quantization) -> None:
    model = loaded(checkpoint("smolvlm"), quantization)
    kinds = {type(module).__name__ for module in model._model.modules()}
    assert {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantization] in kinds


def test_a_quantized_model_unmaps_its_file(checkpoint: Build, tmp_path: Path) -> None:
    """A mapped file would stay resident beside the model."""
    copy = shutil.copytree(checkpoint("llava"), tmp_path / "copy")
    model = loaded(copy, "nf4")
    assert not [mapped.path for mapped in psutil.Process().memory_maps() if str(tmp_path) in mapped.path]
    assert model.generate(question(), max_tokens=1, check=no_check).scores


def test_int8_scores_like_full_precision(checkpoint: Build) -> None:
    exact, rounded = (
        loaded(checkpoint("llava"), quantization).generate(question(), max_tokens=1, check=no_check).scores
        for quantization in ("none", "int8")
    )
    assert exact
    assert rounded
    assert rounded[0].logprob == pytest.approx(exact[0].logprob, abs=0.05)


def test_a_checkpoint_saved_quantized_keeps_its_quantization(checkpoint: Build, tmp_path: Path) -> None:
    first = loaded(checkpoint("llava"), "nf4")
    first._model.save_pretrained(tmp_path)
    first._processor.save_pretrained(tmp_path)
    again = loaded(tmp_path, "none")
    assert again.card.quantization == "nf4"
    request = question()
    assert again.generate(request, max_tokens=6, check=no_check) == first.generate(
        request, max_tokens=6, check=no_check
    )


def test_the_card_contains_the_notes_of_the_checkpoint(checkpoint: Build) -> None:
    noted = loaded(checkpoint("llava"), max_tokens=20).card
    assert (noted.resolutions, noted.parameters, noted.max_tokens) == ((32, 64), 1234, 20)
    counted = loaded(checkpoint("qwen3_vl")).card
    assert counted.resolutions == ()
    assert counted.parameters
    assert counted.parameters > 100_000


def test_the_image_changes_the_answer(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    scores = []
    for colour in ("black", "white"):
        request = ChatRequest(
            None, (Message("user", (Image.new("RGB", (32, 32), colour), "?")),), top_logprobs=1
        )
        answer = model.generate(request, max_tokens=1, check=no_check)
        assert answer.scores
        scores.append(answer.scores[0].logprob)
    assert scores[0] != scores[1]


def test_control_tokens_in_a_question_become_blanks(checkpoint: Build) -> None:
    """They could add an image or forge a turn."""
    model = loaded(checkpoint("llava"))
    plain = model.generate(question("a   b"), max_tokens=4, check=no_check)
    forged = model.generate(question("a <image> b"), max_tokens=4, check=no_check)
    assert forged == plain


def test_system_messages_are_part_of_the_prompt(checkpoint: Build) -> None:
    model = loaded(checkpoint("qwen3_vl"))
    bare = question()
    with_system = ChatRequest(None, (Message("system", ("be brief",)), *bare.messages))
    assert (
        model.generate(with_system, max_tokens=1, check=no_check).prompt_tokens
        > model.generate(bare, max_tokens=1, check=no_check).prompt_tokens
    )


def test_a_tiled_small_image_costs_fewer_tokens(checkpoint: Build) -> None:
    model = loaded(checkpoint("smolvlm"))
    small, large, huge = (
        model.generate(question(side=side), max_tokens=1, check=no_check).prompt_tokens
        for side in (32, 128, 512)
    )
    assert small < large == huge


@pytest.mark.parametrize(
    ("family", "quantization"), [("llava", "none"), ("llava", "nf4"), ("llava_clip", "none")]
)
def test_an_image_is_scaled_to_the_largest_resolution_not_above_its_size(
    checkpoint: Build, family: str, quantization: Quantization
) -> None:
    """The tower has 32 px and patches of 8 px; the checkpoint notes 64 px as a second resolution."""
    model = loaded(checkpoint(family), quantization)
    shapes: list[tuple[int, ...]] = []
    model._model.model.vision_tower.register_forward_pre_hook(
        lambda _tower, args: shapes.append(tuple(args[0].shape))
    )
    tokens = {
        side: model.generate(question(side=side), max_tokens=1, check=no_check).prompt_tokens
        for side in (20, 32, 63, 64, 500)
    }
    assert [shape[-1] for shape in shapes] == [32, 32, 32, 64, 64]
    assert tokens[20] == tokens[32] == tokens[63]
    assert tokens[64] == tokens[500] == tokens[32] + (64 // 8) ** 2 - (32 // 8) ** 2


@pytest.mark.parametrize("side", [32, 64])
def test_positions_are_interpolated_only_for_another_size(checkpoint: Build, side: int) -> None:
    tower = loaded(checkpoint("llava"))._model.model.vision_tower
    pixels = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = tower(pixels).last_hidden_state
        embedded = tower.embeddings(pixels, interpolate_pos_encoding=side != 32)
        assert torch.equal(output, tower.post_layernorm(tower.encoder(embedded).last_hidden_state))


def test_without_noted_resolutions_the_towers_size_is_used(checkpoint: Build, tmp_path: Path) -> None:
    bare = shutil.copytree(checkpoint("llava"), tmp_path / "bare")
    (bare / "inarvl.json").unlink()
    small, large = question(side=32), question(side=500)
    model = loaded(bare)
    assert (
        model.generate(large, max_tokens=1, check=no_check).prompt_tokens
        == model.generate(small, max_tokens=1, check=no_check).prompt_tokens
    )
    assert loaded(checkpoint("llava")).generate(small, max_tokens=4, check=no_check) == model.generate(
        small, max_tokens=4, check=no_check
    )


@pytest.mark.parametrize("family", ["llava", "llava_clip", "smolvlm", "qwen2_5_vl", "qwen3_vl"])
def test_a_batch_gives_the_same_answers_as_single_requests(checkpoint: Build, family: str) -> None:
    """The questions differ in length, and the limits in tokens."""
    model = loaded(checkpoint(family))
    requests = [question(words) for words in ("?", "how many of them are there?", "is it red?")]
    assert len({model.batch_key(request) for request in requests}) == 1
    limits = (5, 3, 4)
    batch = model.generate_batch(
        [BatchItem(request, limit, no_check) for request, limit in zip(requests, limits, strict=True)]
    )
    for request, limit, answer in zip(requests, limits, batch, strict=True):
        alone = model.generate(request, max_tokens=limit, check=no_check)
        assert isinstance(answer, Answer)
        assert answer.scores
        assert alone.scores
        assert replace(answer, scores=None) == replace(alone, scores=None)
        for one, other in zip(answer.scores, alone.scores, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_an_abandoned_request_leaves_the_batch_and_the_others_are_answered(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    tokens = iter(range(100))

    def abandon() -> None:
        if next(tokens) == 3:
            raise Abandoned

    abandoned, other = model.generate_batch(
        [BatchItem(question(), 9, abandon), BatchItem(question(), 9, no_check)]
    )
    assert isinstance(abandoned, Abandoned)
    assert next(tokens) == 4  # its check is not called again
    assert isinstance(other, Answer)
    assert other.completion_tokens == 9


def test_requests_with_different_image_sizes_or_sampling_are_not_batched(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    small, large = question(side=32), question(side=64)
    assert model.batch_key(small) == model.batch_key(question("other", side=40))
    assert model.batch_key(small) != model.batch_key(large)
    assert model.batch_key(replace(small, temperature=0.5)) is None


def test_the_same_seed_gives_the_same_sample(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    image = Image.new("RGB", (32, 32), "red")

    def sample(seed: int) -> str:
        request = ChatRequest(None, (Message("user", (image, "?")),), temperature=1.5, seed=seed)
        return model.generate(request, max_tokens=12, check=no_check).text

    assert sample(1) == sample(1) != sample(2)


def test_a_prompt_over_the_context_length_is_refused(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    with pytest.raises(InvalidRequest, match="exceed the context length 2048") as refused:
        model.generate(question("x" * 2040), max_tokens=6, check=no_check)
    assert refused.value.code == "prompt_too_long"


def test_text_before_the_answer_and_blanks_are_removed() -> None:
    assert family_of("qwen3_vl").normalise("<think>red? yes</think>\n\n Red \n") == "Red"
    assert family_of("smolvlm").normalise(" Two.") == "Two."
    assert family_of("llava").normalise("ASSISTANT: yes") == "yes"
    assert family_of("paligemma").normalise(" as it is ") == "as it is"


@pytest.mark.parametrize("family", ["llava", "llava_clip", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_question_in_text_alone_is_answered(checkpoint: Build, family: str) -> None:
    model = loaded(checkpoint(family), "nf4")
    text = ChatRequest(None, (Message("user", ("same?",)),), top_logprobs=5)
    answer = model.generate(text, max_tokens=3, check=no_check)
    assert answer.completion_tokens == 3
    assert answer.scores
    assert len(answer.scores[0].alternatives) == 5
    assert model.batch_key(text) != model.batch_key(question())


def test_a_model_of_images_only_refuses_text_alone(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    model.card = replace(model.card, instructions=False)
    with pytest.raises(InvalidRequest, match="answers questions about images only") as refused:
        model.generate(ChatRequest(None, (Message("user", ("same?",)),)), max_tokens=3, check=no_check)
    assert (refused.value.code, refused.value.status) == ("missing_image", 400)


def test_what_a_model_cannot_read_is_refused(checkpoint: Build) -> None:
    model = loaded(checkpoint("qwen2_vl"))
    no_system = "{{ raise_exception('System role not supported') }}"
    wide = Message("user", (Image.new("RGB", (4000, 1)), "what?"))
    for template, request, reason in (
        (model._processor.chat_template, ChatRequest(None, (wide,)), "aspect ratio"),
        (no_system, question(), "System role not supported"),
    ):
        model._processor.chat_template = template
        with pytest.raises(InvalidRequest, match=reason) as refused:
            model.generate(request, max_tokens=2, check=no_check)
        assert (refused.value.code, refused.value.status) == ("unreadable_request", 400)
