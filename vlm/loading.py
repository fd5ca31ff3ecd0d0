"""Loads a checkpoint into memory; if that fails, the error says why and what to do."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from vlm.checkpoint import Checkpoint, Device, Quantization
from vlm.completion import ModelCard
from vlm.errors import ModelLoadError
from vlm.families import family_of
from vlm.hub import checkpoint_files as hub
from vlm.loading_progress import weights_progress
from vlm.model import VisionModel
from vlm.model_files import checked_digest
from vlm.processors import load_processor

MIN_MEMORY_RATIO = {"none": 0.5, "int8": 0.25, "nf4": 0.13}
"""Least memory that a checkpoint needs, divided by its file size (smallest for a float32 file)."""

SMALL_BYTES = 200 * 2**20


def load(
    checkpoint: Checkpoint, device: Device, max_tokens: int, progress: Callable[[float], None]
) -> VisionModel:
    """Loads `checkpoint` onto `device`; downloads it first if it is not complete in the cache.

    Its files are checked against its pin before any of them is read otherwise.

    Args:
        max_tokens: most output tokens per answer; the checkpoint's inarvl.json may set a lower limit.
        progress: called with the share of the weights that is downloaded, and then with the share that is
            loaded, from 0 to 1.

    Raises:
        ModelLoadError: it cannot be served; the message says what to do.
    """
    require_libraries(checkpoint.quantization)
    local = checkpoint if checkpoint.folder else _fetched(checkpoint, progress)
    import torch
    import transformers

    _silence_bitsandbytes()
    sha256 = checked_digest(Path(local.source), checkpoint.sha256, checkpoint.source)
    notes = local.notes()
    torch_device = _resolve_device(torch, device)
    with _load_errors(checkpoint):
        config = _vision_config(checkpoint, local.source)
        family = family_of(config.model_type)
        quantization = _saved_quantization(config) or checkpoint.quantization
        _check_memory(torch, checkpoint, local.weight_bytes(), torch_device, quantization)
        processor = load_processor(local.source, config, family)
        dtype = _dtype(torch, local, config, torch_device)
        with weights_progress(progress):
            model, report = transformers.AutoModelForImageTextToText.from_pretrained(
                local.source,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                device_map={"": torch_device},
                output_loading_info=True,
                **_quantization_options(transformers, config, checkpoint.quantization, dtype),
            )
    if report["missing_keys"]:
        raise ModelLoadError(
            f"{len(report['missing_keys'])} weights are missing in {checkpoint.source}, such as "
            f"{min(report['missing_keys'])}; download or save it again"
        )
    if quantization != "none":
        _release_loading_memory(model)
    if quantization == "nf4" and torch_device == "cpu":
        _make_inputs_contiguous(model)
    card = ModelCard(
        id=checkpoint.name,
        resolutions=tuple(notes.get("resolutions", ())),
        max_tokens=min(max_tokens, notes.get("max_tokens") or max_tokens),
        quantization=quantization,
        parameters=notes.get("parameters") or model.num_parameters(),
        max_images=notes.get("max_images"),
        instructions=notes.get("instructions") is not False,
        sha256=sha256,
    )
    return VisionModel(card, family, model.eval(), processor)


def require_libraries(quantization: Quantization) -> None:
    """Checks that the libraries for loading are installed.

    Raises:
        ModelLoadError: one is missing.
    """
    for module in ("torch", "transformers", "accelerate"):
        _require(module, f"serving a model needs {module}")
    if quantization != "none":
        _require("bitsandbytes", f"--quantization {quantization} needs bitsandbytes")


def check_image_input(checkpoint: Checkpoint, folder: Path) -> None:
    """Checks the configuration in `folder`, whose weights may still be missing.

    Raises:
        ModelLoadError: it is not the configuration of a vision-language model.
    """
    with _load_errors(checkpoint):
        _vision_config(checkpoint, str(folder))


def _fetched(checkpoint: Checkpoint, progress: Callable[[float], None]) -> Checkpoint:
    """Returns the copy of a hub's checkpoint in the cache."""
    check = partial(check_image_input, checkpoint)
    folder = hub.fetch(checkpoint.source, progress, check, checkpoint.revision)
    return replace(checkpoint, source=str(folder))


def _vision_config(checkpoint: Checkpoint, folder: str) -> Any:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ModelLoadError(
            f"{checkpoint.source} is a {config.model_type} checkpoint without image input; "
            "choose a vision-language model such as SmolVLM, LLaVA or Qwen-VL"
        )
    return config


def _silence_bitsandbytes() -> None:
    """Silences warnings that bitsandbytes repeats for every layer, or about optional kernels from a hub."""
    for module in ("autograd._functions", "backends.cpu.ops"):
        logging.getLogger(f"bitsandbytes.{module}").setLevel(logging.ERROR)


def _require(module: str, problem: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ModelLoadError(f"{problem}, which is not installed; pip install 'inarvl[vlm]'")


def _resolve_device(torch: Any, device: Device) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelLoadError(
            "--device cuda: torch finds no CUDA device; install the torch build for this JetPack or "
            "driver, give the service's user access to /dev/nvidia* and /dev/nvmap, or use --device cpu"
        )
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"


def _dtype(torch: Any, checkpoint: Checkpoint, config: Any, torch_device: str) -> Any:
    if torch_device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if (checkpoint.weight_bytes() or SMALL_BYTES) < SMALL_BYTES:
        return torch.float32  # exact, not slower on a CPU, and the model is small
    return getattr(config, "dtype", None) or torch.float32


def _quantization_options(
    transformers: Any, config: Any, quantization: Quantization, dtype: Any
) -> dict[str, Any]:
    """Returns the option that makes transformers quantize while loading, or no option."""
    if quantization == "none" or _saved_quantization(config):
        return {}
    if quantization == "int8":
        return {"quantization_config": transformers.BitsAndBytesConfig(load_in_8bit=True)}
    nf4 = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": nf4}


def _saved_quantization(config: Any) -> str | None:
    """Returns the quantization that a checkpoint was saved with, or None."""
    saved = getattr(config, "quantization_config", None)
    if saved is None:
        return None
    saved = saved if isinstance(saved, dict) else saved.to_dict()
    if saved.get("load_in_4bit"):
        return str(saved.get("bnb_4bit_quant_type"))
    return "int8" if saved.get("load_in_8bit") else str(saved.get("quant_method"))


def _release_loading_memory(model: Any) -> None:
    """Returns to the system the memory that only loading needed.

    Weights that stay in 16 bits on the CPU still point into the mapped file and keep all of it resident, and
    the heap keeps pages that it freed: together several times the size of the quantized model.
    """
    for weight in (*model.parameters(), *model.buffers()):
        if weight.device.type == "cpu" and weight.is_floating_point():
            weight.data = weight.data.clone()
    gc.collect()
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _make_inputs_contiguous(model: Any) -> None:
    """Copies transposed inputs of 4-bit layers: bitsandbytes' CPU kernel ignores the strides of a tensor.

    Seen with bitsandbytes 0.50: wrong results, no error. A vision tower's convolution returns its patches
    transposed.
    """
    from bitsandbytes.nn import Linear4bit

    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            layer.register_forward_pre_hook(lambda _layer, inputs: (inputs[0].contiguous(), *inputs[1:]))


def _check_memory(
    torch: Any, checkpoint: Checkpoint, size: int | None, torch_device: str, quantization: str
) -> None:
    if size is None:
        return
    needed = size * MIN_MEMORY_RATIO.get(quantization, 0.5)
    free = torch.cuda.mem_get_info()[0] if torch_device == "cuda" else psutil.virtual_memory().available
    if needed > free:
        raise _out_of_memory(
            checkpoint, f"needs at least {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free"
        )


def _out_of_memory(checkpoint: Checkpoint, problem: str) -> ModelLoadError:
    remedy = "--quantization nf4, " if checkpoint.quantization != "nf4" else ""
    return ModelLoadError(f"{checkpoint.source} {problem}; use {remedy}a smaller model, or free memory")


@contextlib.contextmanager
def _load_errors(checkpoint: Checkpoint) -> Iterator[None]:
    """Converts the exceptions of loading to ModelLoadError."""
    source = checkpoint.source
    try:
        yield
    except (ModelLoadError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise _out_of_memory(checkpoint, "does not fit into memory") from error
    except Exception as error:  # the libraries raise exceptions of many classes
        detail = " ".join(str(error).split())[:400]
        if "out of memory" in detail or "allocate memory" in detail:
            raise _out_of_memory(checkpoint, "does not fit into memory") from error
        if re.search(r"\b(CUDA|GPU)\b", detail):
            raise ModelLoadError(
                f"{source} needs a CUDA device and libraries built for it ({detail}); on a CPU, use "
                "the original checkpoint, not quantized, with --quantization nf4 and --device cpu"
            ) from error
        if "Safetensor" in type(error).__name__:
            raise ModelLoadError(f"{source} contains damaged weights ({detail}); copy it again") from error
        if "Transformers does not recognize" in detail:
            raise ModelLoadError(
                f"{source} needs a newer transformers: pip install -U transformers"
            ) from error
        raise ModelLoadError(f"{source} cannot be loaded: {detail}") from error
