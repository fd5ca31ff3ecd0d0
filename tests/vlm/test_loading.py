"""A checkpoint that cannot be loaded gives an error that says what to do."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
import transformers

from vlm.checkpoint import Checkpoint, Device, Quantization
from vlm.errors import ModelLoadError
from vlm.loading import load

Build = Callable[[str], Path]


@pytest.fixture
def copy(checkpoint: Build, tmp_path: Path) -> Path:
    """A copy of a checkpoint, to be damaged."""
    return Path(shutil.copytree(checkpoint("llava"), tmp_path / "copy"))


def load_error(source: Path | str, quantization: Quantization = "none", device: Device = "cpu") -> str:
    with pytest.raises(ModelLoadError) as raised:
        load(Checkpoint.at(str(source), quantization), device, 8, lambda _share: None)
    return str(raised.value)


def test_a_folder_that_does_not_exist() -> None:
    assert "folder ./nowhere does not exist; give a checkpoint folder, a hub id" in load_error("./nowhere")


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    assert "holds no config.json" in load_error(tmp_path)


def test_an_unknown_bundled_model() -> None:
    assert "no bundled model 'nothing'" in load_error("bundled:nothing")


def test_a_hub_id_without_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert "is not in the cache" in load_error("nobody/no-such-model")


def test_missing_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "no weights as safetensors, which alone are loaded" in load_error(copy)


def test_damaged_weights(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "copy it again" in load_error(copy)


def test_missing_weights_are_not_initialised_at_random(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (copy / "config.json").write_text(json.dumps(config))
    assert "9 weights are missing" in load_error(copy)


def test_a_language_model_without_image_input(tmp_path: Path) -> None:
    transformers.LlamaConfig().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "is a llama checkpoint without image input" in load_error(tmp_path)


def test_an_unknown_architecture(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "llava_2040"}')
    assert "needs a newer transformers" in load_error(copy)


def test_a_missing_chat_template_is_replaced_if_the_family_has_one(copy: Path, checkpoint: Build) -> None:
    (copy / "chat_template.jinja").unlink()
    load(Checkpoint.at(str(copy), "none"), "cpu", 8, lambda _share: None)
    other = shutil.copytree(checkpoint("smolvlm"), copy.parent / "other")
    (other / "chat_template.jinja").unlink()
    assert "add chat_template.jinja to its folder" in load_error(other)


def test_notes_that_are_not_json(copy: Path) -> None:
    (copy / "inarvl.json").write_text("resolutions: 64")
    assert "correct or remove it" in load_error(copy)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_cuda_device(copy: Path) -> None:
    assert "use --device cpu" in load_error(copy, device="cuda")


def test_bitsandbytes_not_installed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name)
    )
    assert "needs bitsandbytes, which is not installed" in load_error(copy, "nf4")


def test_too_little_memory(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert "0.0 GB are free; use --quantization nf4, a smaller model" in load_error(copy)
    assert "--quantization nf4" not in load_error(copy, "nf4")


def test_out_of_memory_while_loading(copy: Path) -> None:
    def exhausted(_share: float) -> None:
        raise MemoryError

    with pytest.raises(ModelLoadError, match="does not fit into memory; use --quantization nf4"):
        load(Checkpoint.at(str(copy), "none"), "cpu", 8, exhausted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_quantization_that_needs_cuda_without_a_cuda_device(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fbgemm_fp8"}
    (copy / "config.json").write_text(json.dumps(config))
    message = load_error(copy)
    assert "needs a CUDA device" in message
    assert "the original checkpoint, not quantized, with --quantization nf4" in message


def test_a_bitsandbytes_built_without_cuda(copy: Path) -> None:
    def broken(_share: float) -> None:
        raise RuntimeError("The installed version of bitsandbytes was compiled without GPU support.")

    with pytest.raises(
        ModelLoadError, match=r"libraries built for it .*bitsandbytes was compiled without GPU"
    ):
        load(Checkpoint.at(str(copy), "none"), "cpu", 8, broken)


def test_4_bit_layers_read_transposed_inputs_correctly(checkpoint: Build) -> None:
    """A vision tower's convolution returns its patches transposed."""
    from bitsandbytes.nn import Linear4bit

    model = load(Checkpoint.at(str(checkpoint("llava")), "nf4"), "cpu", 8, lambda _share: None)
    layers = [layer for layer in model._model.modules() if isinstance(layer, Linear4bit)]
    assert layers
    with torch.inference_mode():
        for layer in layers:
            transposed = torch.randn(1, layer.in_features, 16).transpose(1, 2)
            assert torch.equal(layer(transposed), layer(transposed.contiguous()))
