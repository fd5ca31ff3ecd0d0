"""What differs between model families: the prompt, where an answer ends, and how an image is cut up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """How one family of checkpoints wants to be asked.

    Attributes:
        name: for logs.
        stop: texts that end an answer although the tokenizer may not count them as its end.
        template: chat template (Jinja) for checkpoints that bring none; None requires them to.
        processor: transformers class to use in place of the checkpoint's own, None to keep that.
        image_options: (image processor, longest image side in pixels, resolutions of the checkpoint's notes)
            -> options for that processor.
        prepare: called once with the loaded model.
        lead: text that some checkpoints put before the answer; it and all before it is cut off.
    """

    name: str
    stop: tuple[str, ...] = ()
    template: str | None = None
    processor: str | None = None
    image_options: Callable[[Any, int, Sequence[int]], dict[str, Any]] = lambda *_: {}
    prepare: Callable[[Any], None] = lambda _model: None
    lead: str | None = None

    def normalise(self, text: str) -> str:
        """An answer without what the family writes around it."""
        if self.lead and self.lead in text:
            text = text.rpartition(self.lead)[2]
        return text.strip()


def family_of(model_type: str) -> Family:
    """The family of a checkpoint by the `model_type` of its config.json."""
    for prefix, family in FAMILIES.items():
        if model_type.startswith(prefix):
            return family
    return OTHER


def squares(processor: Any, side: int, resolutions: Sequence[int]) -> dict[str, Any]:
    """Scale an image to the largest of `resolutions` that it fills, or to the smallest of them.

    Without resolutions every image is scaled to the one size that the tower was made for.
    """
    if not resolutions:
        return {}
    resolution = max((r for r in resolutions if r <= side), default=min(resolutions))
    square = {"height": resolution, "width": resolution}
    if "shortest_edge" in processor.size:  # CLIP's scales the shorter side and cuts the longer one
        return {"size": {"shortest_edge": resolution}, "crop_size": square}
    return {"size": square}


def see_any_size(model: Any) -> None:
    """Have a CLIP or SigLIP tower interpolate its position embeddings for images that are not of its size.

    It can, but LLaVA's `forward` has no way to tell it to.
    """
    tower = model.model.vision_tower

    def interpolate(_tower: Any, args: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        own = tower.config.image_size
        if tuple(args[0].shape[-2:]) != (own, own):
            options = {**options, "interpolate_pos_encoding": True}
        return args, options

    if tower.config.model_type in ("clip_vision_model", "siglip_vision_model"):
        tower.register_forward_pre_hook(interpolate, with_kwargs=True)


def tiles(processor: Any, side: int, _resolutions: Sequence[int]) -> dict[str, Any]:
    """Cut an image into as many tiles as its own pixels fill.

    Left alone, Idefics3-like processors would enlarge every image to their largest size, 17 tiles in
    SmolVLM2-2.2B, and make a small image as dear as a large one.
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
    # LLaVA-NeXT and later cut images up by themselves.
    "llava_": Family("LLaVA-NeXT", stop=("USER:",), template=LLAVA_TEMPLATE, lead="ASSISTANT:"),
    "llava": Family(
        "LLaVA",
        stop=("USER:",),
        template=LLAVA_TEMPLATE,
        image_options=squares,
        prepare=see_any_size,
        lead="ASSISTANT:",
    ),
    # SmolVLMProcessor insists on a video processor, and that on torchvision; for stills they do the same.
    "smolvlm": Family(
        "SmolVLM",
        stop=("<end_of_utterance>", "\nUser:"),
        processor="Idefics3Processor",
        image_options=tiles,
        lead="Assistant:",
    ),
    "idefics3": Family(
        "Idefics3", stop=("<end_of_utterance>", "\nUser:"), image_options=tiles, lead="Assistant:"
    ),
    "qwen": Family("Qwen-VL", stop=("<|im_end|>", "<|endoftext|>"), lead="</think>"),
}
OTHER = Family("other")
