"""A copy with wider heads gives the same answers, and the exporter names the weights as vLLM does."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration

from lab.training.export import name_tower_weights
from lab.training.wide_heads import widen_heads
from vlm import bundled

SOURCE = bundled.path("inarvl-edge-swift")


def logits(folder: Path) -> torch.Tensor:
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 96, 96, generator=generator)
    question = torch.randint(4, 587, (1, 20), generator=generator)
    prompt = torch.cat([torch.full((1, 64), 2), question], dim=1)
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=prompt, pixel_values=image).logits
    return found


def test_wider_heads_give_the_same_logits(tmp_path: Path) -> None:
    widen_heads(SOURCE, tmp_path, 64)
    weights = load_file(tmp_path / "model.safetensors")
    assert weights["language_model.model.layers.0.self_attn.q_proj.weight"].shape == (4 * 64, 64)
    torch.testing.assert_close(logits(tmp_path), logits(SOURCE), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", bundled.names())
def test_the_towers_weights_have_the_names_of_vllm(name: str) -> None:
    weights = load_file(bundled.path(name) / "model.safetensors")
    tower = [weight for weight in weights if weight.startswith("vision_tower.")]
    assert tower
    assert all(weight.startswith("vision_tower.vision_model.") for weight in tower)


def test_naming_the_towers_weights_changes_nothing_else(tmp_path: Path) -> None:
    weights = load_file(SOURCE / "model.safetensors")
    file = tmp_path / "model.safetensors"
    save_file({name.replace("vision_model.", ""): weight for name, weight in weights.items()}, file)
    for _ in range(2):  # the second time there is nothing to rename
        name_tower_weights(file)
        renamed = load_file(file)
        assert renamed.keys() == weights.keys()
        assert all(torch.equal(renamed[name], weights[name]) for name in weights)
