"""Brings a checkpoint into memory, or says in words why it cannot be."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from vlm.checkpoint import Checkpoint, Device, Quantization
from vlm.completion import ModelCard
from vlm.errors import ModelLoadError
from vlm.families import family_of
from vlm.loading_progress import weights_progress
from vlm.model import VisionModel
from vlm.processors import load_processor

LEAST_SHARE = {"none": 0.5, "int8": 0.25, "nf4": 0.13}
"""Lower bounds of memory over file size, met by a float32 file: what is refused surely does not fit."""

SMALL_BYTES = 200 * 2**20


def load(
    checkpoint: Checkpoint, device: Device, max_tokens: int, progress: Callable[[float], None]
) -> VisionModel:
    """Load `checkpoint` onto `device`; `progress` gets the share of its weights that is there, 0 to 1.

    Raises ModelLoadError, whose message says what to do.
    """
    for module in ("torch", "transformers", "accelerate"):
        _need(module, f"serving a model needs {module}")
    if checkpoint.quantization != "none":
        _need("bitsandbytes", f"--quantization {checkpoint.quantization} needs bitsandbytes")
    import torch
    import transformers

    _hush()
    notes = checkpoint.notes()
    place = _place(torch, device)
    with _explained(checkpoint):
        config = transformers.AutoConfig.from_pretrained(checkpoint.source)
        if type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            raise ModelLoadError(
                f"{checkpoint.source} is a {config.model_type} checkpoint, which takes no images; "
                "choose one of a vision-language family such as SmolVLM, LLaVA or Qwen-VL"
            )
        family = family_of(config.model_type)
        quantization = _saved_quantization(config) or checkpoint.quantization
        _check_memory(torch, checkpoint, place, quantization)
        processor = load_processor(checkpoint.source, config, family)
        dtype = _dtype(torch, checkpoint, config, place)
        with weights_progress(progress):
            model, report = transformers.AutoModelForImageTextToText.from_pretrained(
                checkpoint.source,
                dtype=dtype,
                device_map={"": place},
                output_loading_info=True,
                **_quantizer(transformers, config, checkpoint.quantization, dtype),
            )
    if report["missing_keys"]:
        raise ModelLoadError(
            f"{checkpoint.source} lacks {len(report['missing_keys'])} of its weights, such as "
            f"{min(report['missing_keys'])}; download or save it again"
        )
    if quantization != "none":
        _release_file(model)
    if quantization == "nf4" and place == "cpu":
        _lay_out_inputs(model)
    card = ModelCard(
        id=checkpoint.name,
        resolutions=tuple(notes.get("resolutions", ())),
        max_tokens=min(max_tokens, notes.get("max_tokens") or max_tokens),
        quantization=quantization,
        parameters=notes.get("parameters") or model.num_parameters(),
    )
    return VisionModel(card, family, model.eval(), processor)


def _hush() -> None:
    """Silence what bitsandbytes says at every layer, or about optional kernels that only a hub has."""
    for module in ("autograd._functions", "backends.cpu.ops"):
        logging.getLogger(f"bitsandbytes.{module}").setLevel(logging.ERROR)


def _need(module: str, why: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ModelLoadError(f"{why}, which is not installed; pip install 'inarvl[vlm]'")


def _place(torch: Any, device: Device) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelLoadError(
            "--device cuda: torch sees no CUDA device; install the torch build for this board's JetPack or "
            "driver, let the service's user open /dev/nvidia* and /dev/nvmap, or use --device cpu"
        )
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"


def _dtype(torch: Any, checkpoint: Checkpoint, config: Any, place: str) -> Any:
    if place == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if (checkpoint.weight_bytes() or SMALL_BYTES) < SMALL_BYTES:
        return torch.float32  # exact, no slower on a CPU, and too small for memory to matter
    return getattr(config, "dtype", None) or torch.float32


def _quantizer(transformers: Any, config: Any, quantization: Quantization, dtype: Any) -> dict[str, Any]:
    """The option that makes transformers quantize while it loads, or none."""
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
    """The form that a checkpoint was saved in when it was quantized before saving."""
    saved = getattr(config, "quantization_config", None)
    if saved is None:
        return None
    saved = saved if isinstance(saved, dict) else saved.to_dict()
    if saved.get("load_in_4bit"):
        return str(saved.get("bnb_4bit_quant_type"))
    return "int8" if saved.get("load_in_8bit") else str(saved.get("quant_method"))


def _release_file(model: Any) -> None:
    """Give back what quantizing left behind.

    Weights that stay in 16 bits on the CPU still point into the mapped file and keep all of it resident, and
    the heap keeps what passed through it: together several times the quantized model.
    """
    for weight in (*model.parameters(), *model.buffers()):
        if weight.device.type == "cpu" and weight.is_floating_point():
            weight.data = weight.data.clone()
    gc.collect()
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _lay_out_inputs(model: Any) -> None:
    """Copy transposed inputs before 4-bit layers: bitsandbytes' CPU kernel reads them as if they were not.

    Seen with 0.50: wrong results, no error. A vision tower's patches come transposed out of its convolution.
    """
    from bitsandbytes.nn import Linear4bit

    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            layer.register_forward_pre_hook(lambda _layer, inputs: (inputs[0].contiguous(), *inputs[1:]))


def _check_memory(torch: Any, checkpoint: Checkpoint, place: str, quantization: str) -> None:
    size = checkpoint.weight_bytes()
    if size is None:
        return
    needed = size * LEAST_SHARE.get(quantization, 0.5)
    free = torch.cuda.mem_get_info()[0] if place == "cuda" else psutil.virtual_memory().available
    if needed > free:
        raise _no_memory(checkpoint, f"needs at least {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free")


def _no_memory(checkpoint: Checkpoint, why: str) -> ModelLoadError:
    remedy = "--quantization nf4, " if checkpoint.quantization != "nf4" else ""
    return ModelLoadError(f"{checkpoint.source} {why}; use {remedy}a smaller model, or stop something else")


@contextlib.contextmanager
def _explained(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what loading raises into a ModelLoadError."""
    source = checkpoint.source
    try:
        yield
    except (ModelLoadError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise _no_memory(checkpoint, "does not fit into memory") from error
    except (
        Exception
    ) as error:  # libraries raise what they like; all of it means that this checkpoint is not served
        words = " ".join(str(error).split())[:400]
        if "out of memory" in words or "allocate memory" in words:
            raise _no_memory(checkpoint, "does not fit into memory") from error
        if re.search(r"\b(CUDA|GPU)\b", words):
            raise ModelLoadError(
                f"{source} needs a CUDA device and libraries built for it ({words}); on a CPU, give "
                "the checkpoint as it was before it was quantized, with --quantization nf4 and --device cpu"
            ) from error
        if isinstance(error, OSError) and checkpoint.folder is None:
            raise ModelLoadError(
                f"{source} is neither a folder here nor could it be fetched from the hub; check the name and "
                f"the network, or fetch it elsewhere and give its folder ({words})"
            ) from error
        if "Safetensor" in type(error).__name__:
            raise ModelLoadError(f"{source} holds damaged weights ({words}); copy it again") from error
        if "Transformers does not recognize" in words:
            raise ModelLoadError(
                f"{source} needs a newer transformers: pip install -U transformers"
            ) from error
        raise ModelLoadError(f"{source} cannot be loaded: {words}") from error
