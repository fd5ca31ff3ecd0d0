"""Builds tiny checkpoints of real families, with random weights."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the vlm extra is not installed")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

CONTEXT_LENGTH = 2048
CHAT = (
    "{% for message in messages %}OPEN{{ message['role'] }}: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}CLOSE\n{% endfor %}{% if add_generation_prompt %}OPENassistant: {% endif %}"
)
QWEN_TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
SMOLVLM_TOKENS = [
    "<fake_token_around_image>",
    "<image>",
    "<global-img>",
    "<end_of_utterance>",
    "<|im_start|>",
]
SMOLVLM_TOKENS += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the checkpoint folder of a family, once; its random model never generates the end token."""
    root = tmp_path_factory.mktemp("checkpoints")

    def build(family: str) -> Path:
        folder = root / family
        if not folder.exists():
            torch.manual_seed(0)
            builders = {"llava": _llava, "llava_clip": partial(_llava, tower="clip"), "smolvlm": _smolvlm}
            builders.get(family, partial(_qwen, family))(folder)
        return folder

    return build


def _tokenizer(special: list[str], end: str, image: str, start: str) -> Any:
    """A tokenizer whose tokens are bytes, so that it encodes every text."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    bytes_only = tokenizers.Tokenizer(
        tokenizers.models.BPE({byte: index for index, byte in enumerate(alphabet)}, merges=[])
    )
    bytes_only.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token=end, pad_token=end, additional_special_tokens=special
    )
    tokenizer.chat_template = CHAT.replace("OPEN", start).replace("CLOSE", end).replace("IMAGE", image)
    return tokenizer


def _text_config(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT_LENGTH,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


VISION = {"hidden_size": 64, "intermediate_size": 128, "patch_size": 8}


def _save(folder: Path, model: Any, tokenizer: Any, *parts: Any) -> None:
    with torch.no_grad():
        # Some other logit is above 0, so that the end token is never the best.
        model.lm_head.weight[tokenizer.eos_token_id] = 0
    for part in (model, *parts):
        part.save_pretrained(folder)


def _llava(folder: Path, tower: str = "siglip") -> None:
    """With a SigLIP tower, or with a CLIP tower, which adds a class token and crops images."""
    tokenizer = _tokenizer(["<image>"], "</s>", "<image>\n", "")
    sizes: dict[str, Any] = {**VISION, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}
    square = {"height": 32, "width": 32}
    if tower == "clip":
        vision, select = transformers.CLIPVisionConfig(**sizes), "default"
        images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    else:
        vision, select = transformers.SiglipVisionConfig(**sizes), "full"
        images = transformers.SiglipImageProcessorPil(size=square)
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=transformers.LlamaConfig(**_text_config(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy=select,
    )
    processor = transformers.LlavaProcessor(
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy=select,
        num_additional_image_tokens=int(tower == "clip"),
        chat_template=tokenizer.chat_template,
    )
    _save(folder, transformers.LlavaForConditionalGeneration(config), tokenizer, processor)
    notes = {"resolutions": [32, 64], "parameters": 1234, "max_tokens": 5000}
    (folder / "inarvl.json").write_text(json.dumps(notes))


def _smolvlm(folder: Path) -> None:
    tokenizer = _tokenizer(SMOLVLM_TOKENS, "<end_of_utterance>", "<image>", "<|im_start|>")
    config = transformers.SmolVLMConfig(
        vision_config={**VISION, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32},
        text_config=transformers.LlamaConfig(**_text_config(tokenizer)),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    images = transformers.SmolVLMImageProcessorPil(
        size={"longest_edge": 128}, max_image_size={"longest_edge": 32}
    )
    _save(folder, transformers.SmolVLMForConditionalGeneration(config), tokenizer, images, tokenizer)
    # As in a checkpoint from the hub: SmolVLMProcessor cannot be instantiated without torchvision.
    hub = {"processor_class": "SmolVLMProcessor", "image_seq_len": 4}
    (folder / "processor_config.json").write_text(json.dumps(hub))
    notes = {"resolutions": [32, 64, 128], "max_tokens": 24}
    (folder / "inarvl.json").write_text(json.dumps(notes))


def _qwen(family: str, folder: Path) -> None:
    tokenizer = _tokenizer(
        QWEN_TOKENS, "<|im_end|>", "<|vision_start|><|image_pad|><|vision_end|>", "<|im_start|>"
    )
    ids = {
        f"{kind}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for kind, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    rope: dict[str, Any] = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e4}
    vision: dict[str, Any] = {
        "depth": 2,
        "num_heads": 2,
        "patch_size": 8,
        "hidden_size": 64,
        "spatial_merge_size": 2,
    }
    if family == "qwen2_vl":
        kind, model = transformers.Qwen2VLConfig, transformers.Qwen2VLForConditionalGeneration
        vision |= {"embed_dim": 64, "mlp_ratio": 2}
    elif family == "qwen2_5_vl":
        kind, model = transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration
        vision |= {
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "window_size": 32,
            "fullatt_block_indexes": [1],
        }
    else:
        kind, model = transformers.Qwen3VLConfig, transformers.Qwen3VLForConditionalGeneration
        vision |= {
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        }
        rope["mrope_interleaved"] = True
    text = {**_text_config(tokenizer), "rope_parameters": rope}
    if family == "qwen3_vl":
        text["head_dim"] = 32
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, min_pixels=32 * 32, max_pixels=64 * 64
    )
    _save(folder, model(kind(text_config=text, vision_config=vision, **ids)), tokenizer, images, tokenizer)
