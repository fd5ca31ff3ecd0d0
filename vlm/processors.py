"""A checkpoint's processor (tokenizer, image preprocessing and chat template) without torchvision.

Images are prepared by transformers' Pillow classes wherever the server runs: both tiers see the same pixels.
"""

from __future__ import annotations

from typing import Any

from vlm.families import Family


def load_processor(source: str, config: Any, family: Family) -> Any:
    """The processor of the checkpoint at `source`.

    Raises OSError or ValueError, as transformers does, when files are missing or no class fits.
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    kind = getattr(transformers, family.processor) if family.processor else PROCESSOR_MAPPING[type(config)]
    if "video_processor" in kind.get_attributes():
        kind = _without_video(kind)
    processor = kind.from_pretrained(source, backend="pil")
    if not processor.chat_template:
        processor.chat_template = getattr(processor.tokenizer, "chat_template", None) or family.template
    if not processor.chat_template:
        raise ValueError("it brings no chat template; put chat_template.jinja into its folder")
    return processor


def _without_video(kind: type[Any]) -> type[Any]:
    """A processor class for stills only: video processors need torchvision, and no video is ever sent."""
    parts = [part for part in kind.get_attributes() if part != "video_processor"]
    return type(f"Stills{kind.__name__}", (kind,), {"get_attributes": classmethod(lambda _: parts)})
