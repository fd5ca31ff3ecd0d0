"""The header of a GGUF file: what the file is, without its weights.

The library gguf keeps an array for each token: with the 152,000 tokens of Qwen2-VL it took 490 MiB and 60
times as long as this. That is too much for a check whether the board has memory left.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from vlm.errors import ModelLoadError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
# Types of values: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
STRING, ARRAY = 8, 9
MAX_KEPT = 4096  # values of an array, such as one for each layer; a vocabulary has more
MAX_DIMENSIONS = 4


@dataclass(frozen=True)
class GgufHeader:
    """The header of the file at `path`.

    Attributes:
        fields: its values by name. Arrays of strings, and long arrays, are left out.
        bytes: the size of the file.
    """

    path: Path
    fields: Mapping[str, Any]
    bytes: int

    @classmethod
    def read(cls, path: Path) -> GgufHeader:
        """Reads the header.

        Raises:
            ModelLoadError: the file is missing, cannot be read, is no GGUF file, or is not complete.
        """
        try:
            with path.open("rb") as file:
                return _read(path, file)
        except FileNotFoundError:
            raise ModelLoadError(
                f"{path} does not exist; write the path of a GGUF file, not under /home, which a service "
                "cannot see"
            ) from None
        except OSError as error:
            raise ModelLoadError(
                f"{path} cannot be read ({error.strerror}); the service's user must be able to read it"
            ) from error
        except (EOFError, ValueError, KeyError, struct.error) as error:
            raise ModelLoadError(
                f"{path} is damaged, or its download was not completed; copy it again"
            ) from error

    @property
    def architecture(self) -> str:
        """The kind of model; `clip` for vision towers."""
        return str(self.fields.get("general.architecture", ""))

    def cache_bytes(self, tokens: int) -> int:
        """Returns the size of the keys and values of `tokens` in 16 bits; 0 if their shapes are unknown."""
        own = {
            name.removeprefix(f"{self.architecture}."): value
            for name, value in self.fields.items()
            if name.startswith(f"{self.architecture}.")
        }
        try:
            layers, heads = own["block_count"], own["attention.head_count"]
            heads_kv = own.get("attention.head_count_kv", heads)
            all_heads_kv = heads_kv * layers if isinstance(heads_kv, int) else sum(heads_kv)
            width = own["embedding_length"] // (heads if isinstance(heads, int) else max(heads))
            length = own.get("attention.key_length", width) + own.get("attention.value_length", width)
            return int(2 * tokens * length * all_heads_kv)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            return 0


def _read(path: Path, file: BinaryIO) -> GgufHeader:
    size = path.stat().st_size
    if file.read(len(MAGIC)) != MAGIC:
        raise ModelLoadError(f"{path} is no GGUF file; take a file in the format of llama.cpp (*.gguf)")
    version = _number(file, "<I")
    if version not in VERSIONS:
        raise ModelLoadError(f"{path} is GGUF version {version}, not 2 or 3; take another file of this model")
    tensors, values = _number(file, "<Q"), _number(file, "<Q")
    fields = {}
    for _ in range(values):
        name = _string(file)
        value = _value(file, _number(file, "<I"))
        if value is not None:
            fields[name] = value
    last_tensor = max((_tensor_begin(file) for _ in range(tensors)), default=0)
    end_of_header = file.tell()
    if end_of_header + last_tensor >= size:
        raise EOFError
    return GgufHeader(path, fields, size)


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size) if size < 2**24 else b""
    if len(content) < size:
        raise EOFError
    return content


def _number(file: BinaryIO, kind: str) -> Any:
    return struct.unpack(kind, _exactly(file, struct.calcsize(kind)))[0]


def _string(file: BinaryIO) -> str:
    return _exactly(file, _number(file, "<Q")).decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind != ARRAY:
        return _number(file, NUMBERS[kind])
    kind, count = _number(file, "<I"), _number(file, "<Q")
    if kind == STRING:
        for _ in range(count):
            _exactly(file, _number(file, "<Q"))
        return None
    if count <= MAX_KEPT:
        return [_number(file, NUMBERS[kind]) for _ in range(count)]
    file.seek(count * struct.calcsize(NUMBERS[kind]), 1)
    return None


def _tensor_begin(file: BinaryIO) -> int:
    """Skips the description of one tensor, and returns where its weights begin behind the header."""
    _exactly(file, _number(file, "<Q"))
    dimensions = _number(file, "<I")
    if dimensions > MAX_DIMENSIONS:
        raise EOFError
    _exactly(file, 8 * dimensions + 4)
    return int(_number(file, "<Q"))
