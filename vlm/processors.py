"""Loads a checkpoint's processor (tokenizer, image preprocessing, chat template) without torchvision.

transformers' Pillow classes prepare the images on every machine, so that both tiers see the same pixels.
"""

from __future__ import annotations

from typing import Any

from vlm.families import Family


def load_processor(source: str, config: Any, family: Family) -> Any:
    """Returns the processor of the checkpoint at `source`.

    Raises:
        OSError, ValueError: as transformers does, if files are missing or no class fits.
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    kind = getattr(transformers, family.processor) if family.processor else PROCESSOR_MAPPING[type(config)]
    if "video_processor" in kind.get_attributes():
        kind = _without_video(kind)
    processor = kind.from_pretrained(source, backend="pil", trust_remote_code=False)
    if not processor.chat_template:
        processor.chat_template = getattr(processor.tokenizer, "chat_template", None) or family.template
    if not processor.chat_template:
        raise ValueError("it has no chat template; add chat_template.jinja to its folder")
    return processor


def _without_video(kind: type[Any]) -> type[Any]:
    """Returns a processor class without video, which needs torchvision; no video is ever sent."""
    parts = [part for part in kind.get_attributes() if part != "video_processor"]
    return type(f"ImageOnly{kind.__name__}", (kind,), {"get_attributes": classmethod(lambda _: parts)})
