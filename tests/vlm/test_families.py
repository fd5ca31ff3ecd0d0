"""Checkpoints of each family load, quantise, answer and score without torchvision."""

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
from vlm.model import Answer, Ask, VisionModel
from vlm.schema import ChatRequest, Message
from vlm.worker import Abandoned

Build = Callable[[str], Path]


def loaded(folder: Path, quantization: Quantization = "none", max_tokens: int = 32) -> VisionModel:
    return load(Checkpoint.at(str(folder), quantization), "cpu", max_tokens, lambda _share: None)


def question(*parts: str | Image.Image, side: int = 60, tops: int | None = 2) -> ChatRequest:
    image = Image.new("RGB", (side, side // 2), "red")
    return ChatRequest(None, (Message("user", (image, *(parts or ("how many?",)))),), tops=tops)


def proceed() -> None:
    """Nobody hangs up."""


@pytest.mark.parametrize("family", ["llava", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_quantised_model_answers_with_scores(checkpoint: Build, family: str) -> None:
    model = loaded(checkpoint(family), "nf4")
    answer = model.generate(question(), max_tokens=6, check=proceed)
    assert model.card.quantization == "nf4"
    assert (answer.completion_tokens, answer.finish_reason) == (6, "length")
    assert answer.scores
    for score in answer.scores:
        assert len(score.tops) == 2
        assert score.logprob == max(logprob for _, logprob in score.tops) <= 0  # greedy takes the best


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_quantisation_replaces_the_linear_layers(checkpoint: Build, quantization: Quantization) -> None:
    model = loaded(checkpoint("smolvlm"), quantization)
    kinds = {type(module).__name__ for module in model._model.modules()}
    assert {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantization] in kinds


def test_a_quantised_model_lets_go_of_its_file(checkpoint: Build, tmp_path: Path) -> None:
    """Else the whole unquantised file stays resident beside the model."""
    copy = shutil.copytree(checkpoint("llava"), tmp_path / "copy")
    model = loaded(copy, "nf4")
    assert not [mapped.path for mapped in psutil.Process().memory_maps() if str(tmp_path) in mapped.path]
    assert model.generate(question(), max_tokens=1, check=proceed).scores


def test_int8_scores_like_full_precision(checkpoint: Build) -> None:
    exact, rounded = (
        loaded(checkpoint("llava"), quantization).generate(question(), max_tokens=1, check=proceed).scores
        for quantization in ("none", "int8")
    )
    assert exact
    assert rounded
    assert rounded[0].logprob == pytest.approx(exact[0].logprob, abs=0.05)


def test_a_checkpoint_saved_quantised_keeps_its_form(checkpoint: Build, tmp_path: Path) -> None:
    first = loaded(checkpoint("llava"), "nf4")
    first._model.save_pretrained(tmp_path)
    first._processor.save_pretrained(tmp_path)
    again = loaded(tmp_path, "none")
    assert again.card.quantization == "nf4"
    asked = question()
    assert again.generate(asked, max_tokens=6, check=proceed) == first.generate(
        asked, max_tokens=6, check=proceed
    )


def test_the_card_tells_what_the_checkpoint_notes(checkpoint: Build) -> None:
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
        asked = ChatRequest(None, (Message("user", (Image.new("RGB", (32, 32), colour), "?")),), tops=1)
        answer = model.generate(asked, max_tokens=1, check=proceed)
        assert answer.scores
        scores.append(answer.scores[0].logprob)
    assert scores[0] != scores[1]


def test_control_tokens_in_a_question_are_text(checkpoint: Build) -> None:
    """They can neither add an image nor forge a turn."""
    model = loaded(checkpoint("llava"))
    plain = model.generate(question("a   b"), max_tokens=4, check=proceed)
    forged = model.generate(question("a <image> b"), max_tokens=4, check=proceed)
    assert forged == plain


def test_system_messages_are_part_of_the_prompt(checkpoint: Build) -> None:
    model = loaded(checkpoint("qwen3_vl"))
    bare = question()
    told = ChatRequest(None, (Message("system", ("be brief",)), *bare.messages))
    assert (
        model.generate(told, max_tokens=1, check=proceed).prompt_tokens
        > model.generate(bare, max_tokens=1, check=proceed).prompt_tokens
    )


def test_a_small_image_costs_fewer_tokens_where_images_are_tiled(checkpoint: Build) -> None:
    model = loaded(checkpoint("smolvlm"))
    small, large, huge = (
        model.generate(question(side=side), max_tokens=1, check=proceed).prompt_tokens
        for side in (32, 128, 512)
    )
    assert small < large == huge


@pytest.mark.parametrize(
    ("family", "quantization"), [("llava", "none"), ("llava", "nf4"), ("llava_clip", "none")]
)
def test_an_image_is_seen_at_the_largest_resolution_that_it_fills(
    checkpoint: Build, family: str, quantization: Quantization
) -> None:
    """The tower has 32 px and patches of 8; the checkpoint says that 64 px are worth trying too."""
    model = loaded(checkpoint(family), quantization)
    shapes: list[tuple[int, ...]] = []
    model._model.model.vision_tower.register_forward_pre_hook(
        lambda _tower, args: shapes.append(tuple(args[0].shape))
    )
    tokens = {
        side: model.generate(question(side=side), max_tokens=1, check=proceed).prompt_tokens
        for side in (20, 32, 63, 64, 500)
    }
    assert [shape[-1] for shape in shapes] == [32, 32, 32, 64, 64]
    assert tokens[20] == tokens[32] == tokens[63]
    assert tokens[64] == tokens[500] == tokens[32] + (64 // 8) ** 2 - (32 // 8) ** 2


@pytest.mark.parametrize("side", [32, 64])
def test_positions_are_interpolated_for_another_size_only(checkpoint: Build, side: int) -> None:
    tower = loaded(checkpoint("llava"))._model.model.vision_tower
    pixels = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seen = tower(pixels).last_hidden_state
        embedded = tower.embeddings(pixels, interpolate_pos_encoding=side != 32)
        assert torch.equal(seen, tower.post_layernorm(tower.encoder(embedded).last_hidden_state))


def test_without_noted_resolutions_the_towers_own_is_used(checkpoint: Build, tmp_path: Path) -> None:
    bare = shutil.copytree(checkpoint("llava"), tmp_path / "bare")
    (bare / "inarvl.json").unlink()
    small, large = question(side=32), question(side=500)
    model = loaded(bare)
    assert (
        model.generate(large, max_tokens=1, check=proceed).prompt_tokens
        == model.generate(small, max_tokens=1, check=proceed).prompt_tokens
    )
    assert loaded(checkpoint("llava")).generate(small, max_tokens=4, check=proceed) == model.generate(
        small, max_tokens=4, check=proceed
    )


@pytest.mark.parametrize("family", ["llava", "llava_clip", "smolvlm", "qwen2_5_vl", "qwen3_vl"])
def test_questions_answered_together_are_answered_as_alone(checkpoint: Build, family: str) -> None:
    """However long they are, and however many tokens each may have."""
    model = loaded(checkpoint(family))
    requests = [question(words) for words in ("?", "how many of them are there?", "is it red?")]
    assert len({model.together(request) for request in requests}) == 1
    limits = (5, 3, 4)
    together = model.generate_together(
        [Ask(request, limit, proceed) for request, limit in zip(requests, limits, strict=True)]
    )
    for request, limit, answer in zip(requests, limits, together, strict=True):
        alone = model.generate(request, max_tokens=limit, check=proceed)
        assert isinstance(answer, Answer)
        assert answer.scores
        assert alone.scores
        assert replace(answer, scores=None) == replace(alone, scores=None)
        for one, other in zip(answer.scores, alone.scores, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_who_hangs_up_leaves_and_the_others_are_answered(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    tokens = iter(range(100))

    def hang_up() -> None:
        if next(tokens) == 3:
            raise Abandoned

    gone, stays = model.generate_together([Ask(question(), 9, hang_up), Ask(question(), 9, proceed)])
    assert isinstance(gone, Abandoned)
    assert next(tokens) == 4  # it is not asked again
    assert isinstance(stays, Answer)
    assert stays.completion_tokens == 9


def test_only_what_fits_is_answered_together(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    small, large = question(side=32), question(side=64)
    assert model.together(small) == model.together(question("other", side=40))
    assert model.together(small) != model.together(large)
    assert model.together(replace(small, temperature=0.5)) is None


def test_sampling_repeats_with_its_seed(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    image = Image.new("RGB", (32, 32), "red")

    def sample(seed: int) -> str:
        asked = ChatRequest(None, (Message("user", (image, "?")),), temperature=1.5, seed=seed)
        return model.generate(asked, max_tokens=12, check=proceed).text

    assert sample(1) == sample(1) != sample(2)


def test_a_prompt_over_the_window_is_refused(checkpoint: Build) -> None:
    model = loaded(checkpoint("llava"))
    with pytest.raises(InvalidRequest, match="more than the 2048") as refused:
        model.generate(question("x" * 2040), max_tokens=6, check=proceed)
    assert refused.value.code == "prompt_too_long"


def test_what_a_family_writes_around_an_answer_is_cut_off() -> None:
    assert family_of("qwen3_vl").normalise("<think>red? yes</think>\n\n Red \n") == "Red"
    assert family_of("smolvlm").normalise(" Two.") == "Two."
    assert family_of("llava").normalise("ASSISTANT: yes") == "yes"
    assert family_of("paligemma").normalise(" as it is ") == "as it is"
