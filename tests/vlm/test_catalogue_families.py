"""Families of the catalogue that the other tests do not build: tiny checkpoints load and answer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image

from vlm.checkpoint import Checkpoint, Quantization
from vlm.hub.picture_test import run_picture_test
from vlm.loading import load
from vlm.schema import ChatRequest, Message

Build = Callable[[str], Path]


def idefics3(checkpoint: Build, folder: Path) -> None:
    """From the SmolVLM checkpoint, whose layers and processor have the same shapes."""
    smolvlm = checkpoint("smolvlm")
    config = json.loads((smolvlm / "config.json").read_text())
    config["vision_config"]["model_type"] = "idefics3_vision"
    del config["model_type"], config["architectures"]
    model = transformers.Idefics3ForConditionalGeneration(transformers.Idefics3Config(**config))
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 128}, max_image_size={"longest_edge": 32}
    )
    processor = transformers.Idefics3Processor(
        images, transformers.AutoTokenizer.from_pretrained(smolvlm), image_seq_len=4
    )
    for part in (model, processor):
        part.save_pretrained(folder)


def llava_onevision(checkpoint: Build, folder: Path) -> None:
    """From the LLaVA checkpoint, with tiles of 32 pixels."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint("llava"))
    config = json.loads((checkpoint("llava") / "config.json").read_text())
    pinpoints = [[32, 32], [32, 64], [64, 32], [64, 64]]
    text = {**config["text_config"], "model_type": "qwen2", "architectures": None}
    model = transformers.LlavaOnevisionForConditionalGeneration(
        transformers.LlavaOnevisionConfig(
            vision_config=config["vision_config"],
            text_config=transformers.Qwen2Config(**{k: v for k, v in text.items() if k != "model_type"}),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            image_grid_pinpoints=pinpoints,
            vision_feature_layer=-1,
        )
    )
    images = transformers.LlavaOnevisionImageProcessorPil(
        size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints
    )
    for part in (model, images, tokenizer):
        part.save_pretrained(folder)
    hub = {
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": 16,
        "vision_feature_select_strategy": "full",
    }
    (folder / "processor_config.json").write_text(json.dumps(hub))


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("build", [idefics3, llava_onevision])
def test_a_tiny_checkpoint_answers(
    build: Callable[[Build, Path], None], quantization: Quantization, checkpoint: Build, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    build(checkpoint, tmp_path)
    model = load(Checkpoint.at(str(tmp_path), quantization), "cpu", 8, lambda _share: None)
    assert all(answer.took_s > 0 for answer in run_picture_test(model))
    request = ChatRequest(
        None, (Message("user", (Image.new("RGB", (64, 48), "red"), "what?")),), top_logprobs=2
    )
    answer = model.generate(request, max_tokens=4, check=lambda: None)
    assert answer.completion_tokens
    assert answer.scores
