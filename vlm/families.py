"""Differences between model families: the prompt, the end of an answer, and the tiling of images.

To add a family:

1. Serve one of its checkpoints. Without an entry here the checkpoint's own template, end token and image
   processor are used (OTHER below). If the answers are right, nothing more is needed.
2. Otherwise add an entry to FAMILIES. Its key is the beginning of `model_type` in the config.json of its
   checkpoints; the first matching key counts. Set only what the checkpoints do not provide themselves.
3. Add a tiny random checkpoint of the family to tests/vlm/conftest.py, its name to the tests in
   tests/vlm/test_families.py, and a row to the table in docs/models.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """What one family of checkpoints needs beyond the checkpoint's own files.

    Attributes:
        name: the family's name.
        stop: texts that end an answer, in addition to the tokenizer's end token.
        template: chat template (Jinja) for checkpoints without one; None if every checkpoint has one.
        processor: transformers class to use instead of the checkpoint's own; None uses the checkpoint's own.
        image_options: called with the image processor, the longest image side in pixels, and the resolutions
            in the checkpoint's inarvl.json; returns options for that processor.
        prepare: called once with the loaded model.
        answer_prefix: text that some checkpoints write before the answer; removed with all text before it.
    """

    name: str
    stop: tuple[str, ...] = ()
    template: str | None = None
    processor: str | None = None
    image_options: Callable[[Any, int, Sequence[int]], dict[str, Any]] = lambda *_: {}
    prepare: Callable[[Any], None] = lambda _model: None
    answer_prefix: str | None = None

    def normalise(self, text: str) -> str:
        """Returns the answer without `answer_prefix` and surrounding blanks."""
        if self.answer_prefix and self.answer_prefix in text:
            text = text.rpartition(self.answer_prefix)[2]
        return text.strip()


def family_of(model_type: str) -> Family:
    """Returns the family of a checkpoint by the `model_type` in its config.json."""
    for prefix, family in FAMILIES.items():
        if model_type.startswith(prefix):
            return family
    return OTHER


def square_size(processor: Any, side: int, resolutions: Sequence[int]) -> dict[str, Any]:
    """Options that scale an image to the largest of `resolutions` that is not larger, or else the smallest.

    Without resolutions every image is scaled to the vision tower's own size.
    """
    if not resolutions:
        return {}
    resolution = max((r for r in resolutions if r <= side), default=min(resolutions))
    square = {"height": resolution, "width": resolution}
    if "shortest_edge" in processor.size:  # CLIP's processor scales the shorter side and crops the longer one
        return {"size": {"shortest_edge": resolution}, "crop_size": square}
    return {"size": square}


def interpolate_positions(model: Any) -> None:
    """Makes a CLIP or SigLIP tower interpolate its position embeddings for images of another size.

    The tower has an option for this, but LLaVA's `forward` does not pass it.
    """
    tower = model.model.vision_tower

    def interpolate(_tower: Any, args: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        size = tower.config.image_size
        if tuple(args[0].shape[-2:]) != (size, size):
            options = {**options, "interpolate_pos_encoding": True}
        return args, options

    if tower.config.model_type in ("clip_vision_model", "siglip_vision_model"):
        tower.register_forward_pre_hook(interpolate, with_kwargs=True)


def tile_size(processor: Any, side: int, _resolutions: Sequence[int]) -> dict[str, Any]:
    """Options that round the longest side up to whole tiles, so that a small image has few tiles.

    By default, Idefics3-like processors enlarge every image to their largest size (17 tiles in
    SmolVLM2-2.2B), so that a small image costs as much as a large one.
    """
    tile = processor.max_image_size["longest_edge"]
    return {"size": {"longest_edge": min(processor.size["longest_edge"], -(-side // tile) * tile)}}


LLAVA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'] | upper }}: {% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

FAMILIES = {
    # LLaVA-NeXT and later processors tile images themselves.
    "llava_": Family("LLaVA-NeXT", stop=("USER:",), template=LLAVA_TEMPLATE, answer_prefix="ASSISTANT:"),
    "llava": Family(
        "LLaVA",
        stop=("USER:",),
        template=LLAVA_TEMPLATE,
        image_options=square_size,
        prepare=interpolate_positions,
        answer_prefix="ASSISTANT:",
    ),
    # SmolVLMProcessor needs a video processor, which needs torchvision; for images both classes do the same.
    "smolvlm": Family(
        "SmolVLM",
        stop=("<end_of_utterance>", "\nUser:"),
        processor="Idefics3Processor",
        image_options=tile_size,
        answer_prefix="Assistant:",
    ),
    "idefics3": Family(
        "Idefics3",
        stop=("<end_of_utterance>", "\nUser:"),
        image_options=tile_size,
        answer_prefix="Assistant:",
    ),
    "qwen": Family("Qwen-VL", stop=("<|im_end|>", "<|endoftext|>"), answer_prefix="</think>"),
}
OTHER = Family("other")
