"""The format of a weight in a GGUF file."""

from __future__ import annotations

from enum import Enum
from typing import Any

from numpy.typing import NDArray


class Precision(str, Enum):
    """Formats of matrices. Their rows must have whole blocks: of 32 weights here, and of 256 in K-quants.

    The bundled models are 64 or 128 wide, so that they cannot be written as Q4_K_M or another K-quant.
    """

    f16 = "f16"
    q8_0 = "q8_0"
    q4_0 = "q4_0"


def add_tensor(writer: Any, name: str, tensor: NDArray[Any], precision: Precision) -> None:
    """Adds a matrix in `precision`, or in f16 if its rows have no whole blocks; anything else in f32."""
    import gguf

    kind = (
        gguf.GGMLQuantizationType[precision.value.upper()]
        if tensor.ndim >= 2
        else gguf.GGMLQuantizationType.F32
    )
    if tensor.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        kind = gguf.GGMLQuantizationType.F16
    writer.add_tensor(name, gguf.quantize(tensor.astype("float32"), kind), raw_dtype=kind)
