"""The GGUF files of the bundled models; tests/engines/test_llamacpp.py serves them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from vlm import bundled
from vlm.cli import app
from vlm.errors import ModelLoadError
from vlm.gguf.export import export
from vlm.gguf.precision import Precision

gguf = pytest.importorskip("gguf", reason="gguf is not installed: scripts/test installs it")
SOURCE = bundled.path("inarvl-edge-swift")
WEIGHTS = load_file(SOURCE / "model.safetensors")


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def value(path: Path, key: str) -> Any:
    return gguf.GGUFReader(path).get_field(key).contents()


@pytest.mark.parametrize("precision", list(Precision))
def test_every_matrix_of_the_decoder_has_the_precision(tmp_path: Path, precision: Precision) -> None:
    decoder, _ = export(SOURCE, "m", tmp_path, precision)
    kinds = {tensor.tensor_type.name for tensor in tensors(decoder).values() if tensor.shape.size > 1}
    assert kinds == {precision.value.upper()}
    assert len(tensors(decoder)) == sum(name.startswith("language_model.") for name in WEIGHTS)


def test_the_weights_are_the_checkpoints_own(tmp_path: Path) -> None:
    decoder, tower = export(SOURCE, "m", tmp_path, Precision.f16)
    written = tensors(decoder) | tensors(tower)
    for name, source in [
        ("token_embd.weight", "language_model.model.embed_tokens.weight"),
        ("blk.3.ffn_down.weight", "language_model.model.layers.3.mlp.down_proj.weight"),
        ("mm.2.weight", "multi_modal_projector.linear_2.weight"),
    ]:
        np.testing.assert_array_equal(written[name].data, WEIGHTS[source])


def test_a_head_is_rotated_in_neighbouring_pairs(tmp_path: Path) -> None:
    """transformers pairs row i of a head with row i + 8, llama.cpp row 2i with row 2i + 1."""
    decoder, _ = export(SOURCE, "m", tmp_path, Precision.f16)
    written = tensors(decoder)["blk.0.attn_k.weight"].data
    source = WEIGHTS["language_model.model.layers.0.self_attn.k_proj.weight"]
    np.testing.assert_array_equal(written[0:16:2], source[0:8])
    np.testing.assert_array_equal(written[1:16:2], source[8:16])


def test_the_tower_ends_at_the_layer_that_the_projector_reads(tmp_path: Path) -> None:
    folder = shutil.copytree(SOURCE, tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text()) | {"vision_feature_layer": -2}
    (folder / "config.json").write_text(json.dumps(config))
    _, tower = export(folder, "m", tmp_path, Precision.f16)
    assert value(tower, "clip.vision.block_count") == 2
    assert value(tower, "clip.vision.feature_layer") == [2]
    assert not [name for name in tensors(tower) if name.startswith(("v.blk.2.", "v.post_ln"))]


def test_control_tokens_are_marked(tmp_path: Path) -> None:
    decoder, _ = export(SOURCE, "m", tmp_path, Precision.f16)
    texts, kinds = value(decoder, "tokenizer.ggml.tokens"), value(decoder, "tokenizer.ggml.token_type")
    control = {text for text, kind in zip(texts, kinds, strict=True) if kind == gguf.TokenType.CONTROL}
    assert control == {"<|pad|>", "<|end|>", "<image>", "<|answer|>"}


@pytest.mark.parametrize("rows", [(33, 48), (2, 8)])
def test_a_matrix_without_whole_blocks_stays_in_16_bits(tmp_path: Path, rows: tuple[int, int]) -> None:
    from vlm.gguf.precision import add_tensor

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    add_tensor(writer, "w", np.ones(rows, np.float16), Precision.q8_0)
    assert writer.tensors[0]["w"].dtype == gguf.GGMLQuantizationType.F16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "qwen2_5_vl"}, "convert_hf_to_gguf.py"),
        ({"text_config": {"model_type": "qwen2"}}, "qwen2"),
        ({"vision_config": None}, "cannot be read"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = shutil.copytree(SOURCE, tmp_path / "checkpoint")
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match=message):
        export(folder, "m", tmp_path, Precision.f16)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(SOURCE, tmp_path / "checkpoint")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        export(folder, "m", tmp_path, Precision.f16)


def test_the_command_prints_the_options_of_the_server(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["gguf", "bundled:inarvl-edge-swift", "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.split() == [
        "--model",
        f"{tmp_path}/inarvl-edge-swift-q8_0.gguf",
        "--mmproj",
        f"{tmp_path}/mmproj-inarvl-edge-swift-f16.gguf",
        "--alias",
        "inarvl-edge-swift",
    ]
    assert all(Path(path).is_file() for path in ran.stdout.split()[1:4:2])


def test_a_checkpoint_of_the_hub_is_refused(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["gguf", "owner/name", "--out", str(tmp_path)])
    assert ran.exit_code == 1
    assert "not on this machine" in ran.output
