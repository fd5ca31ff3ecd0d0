"""The files for llama.cpp's server are checked before it starts; each problem says what to do."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from vlm import bundled
from vlm.errors import ModelLoadError, OutOfMemory
from vlm.gguf.export import export
from vlm.gguf.precision import Precision
from vlm.llamacpp.gguf_header import GgufHeader
from vlm.llamacpp.model_files import ModelFiles

gguf = pytest.importorskip("gguf", reason="gguf is not installed: scripts/test installs it")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("gguf")
    return export(bundled.path("inarvl-edge-swift"), "swift", folder, Precision.q8_0)


@pytest.mark.parametrize("index", [0, 1])
def test_a_header_has_what_the_library_of_llama_cpp_reads(files: tuple[Path, Path], index: int) -> None:
    fields = GgufHeader.read(files[index]).fields
    reader = gguf.GGUFReader(files[index])
    assert len(fields) > 10
    for name, value in fields.items():
        assert value == reader.get_field(name).contents(), name


def test_the_size_of_the_cache_is_that_of_the_keys_and_values_of_all_layers(
    files: tuple[Path, Path],
) -> None:
    header = GgufHeader.read(files[0])
    own = {name.partition(".")[2]: value for name, value in header.fields.items()}
    width = own["embedding_length"] // own["attention.head_count"] * own["attention.head_count_kv"]
    keys_and_values, bytes_each = 2, 2
    assert header.cache_bytes(1000) == 1000 * own["block_count"] * width * keys_and_values * bytes_each


def missing(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    return str(folder / "none.gguf"), str(tower)


def not_set(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    return str(decoder), ""


def no_gguf(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    (folder / "page.gguf").write_text("<html>Not found</html>")
    return str(folder / "page.gguf"), str(tower)


def exchanged(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    return str(tower), str(decoder)


def twice_the_decoder(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    return str(decoder), str(decoder)


def a_folder(decoder: Path, tower: Path, folder: Path) -> tuple[str, str]:
    return str(decoder), str(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing, "none.gguf does not exist; write the path of a GGUF file"),
        (not_set, "MMPROJ is not set; write MMPROJ=/path"),
        (no_gguf, "page.gguf is no GGUF file; take"),
        (exchanged, "is a vision tower; write it as MMPROJ"),
        (twice_the_decoder, "is no vision tower; write as MMPROJ"),
        (a_folder, "cannot be read"),
    ],
)
def test_wrong_files_are_refused(
    files: tuple[Path, Path],
    change: Callable[[Path, Path, Path], tuple[str, str]],
    message: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelLoadError) as refused:
        ModelFiles.read(*change(*files, tmp_path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.1, 0.5, 0.9])
def test_a_file_whose_end_is_missing_is_refused(
    files: tuple[Path, Path], share: float, tmp_path: Path
) -> None:
    whole = files[0].read_bytes()
    short = tmp_path / "short.gguf"
    short.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelLoadError, match=r"short\.gguf is damaged, or its download"):
        GgufHeader.read(short)


def value(name: str, kind: int, content: bytes) -> bytes:
    """One value of a header, as it stands in the file."""
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + content


def header(*values: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values)) + b"".join(values) + bytes(64)


@pytest.mark.parametrize("count", [2**20, 2**62, 2**64 - 1])
def test_an_array_that_is_longer_than_the_file_is_refused(count: int, tmp_path: Path) -> None:
    file = tmp_path / "long.gguf"
    file.write_bytes(header(value("a", 9, struct.pack("<IQ", 10, count))))
    with pytest.raises(ModelLoadError, match=r"long\.gguf"):
        GgufHeader.read(file)


@pytest.mark.parametrize(
    "heads",
    [
        value("x.attention.head_count", 8, struct.pack("<Q", 3) + b"two"),
        value("x.attention.head_count", 9, struct.pack("<IQ", 4, 0)),
        value("x.attention.head_count", 4, struct.pack("<I", 0)),
    ],
)
def test_a_cache_whose_shape_is_nonsense_is_of_unknown_size(heads: bytes, tmp_path: Path) -> None:
    file = tmp_path / "odd.gguf"
    name = value("general.architecture", 8, struct.pack("<Q", 1) + b"x")
    layers = value("x.block_count", 4, struct.pack("<I", 2**32 - 1))
    width = value("x.embedding_length", 4, struct.pack("<I", 64))
    file.write_bytes(header(name, layers, width, heads))
    assert GgufHeader.read(file).cache_bytes(1) == 0


def test_a_header_with_billions_of_layers_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "deep.gguf"
    numbers = {"block_count": 2**32 - 1, "embedding_length": 64, "attention.head_count": 2}
    name = value("general.architecture", 8, struct.pack("<Q", 1) + b"x")
    file.write_bytes(
        header(name, *(value(f"x.{key}", 4, struct.pack("<I", n)) for key, n in numbers.items()))
    )
    assert GgufHeader.read(file).cache_bytes(1) == 2 * 64 * 2 * (2**32 - 1)


def test_a_model_that_does_not_fit_into_the_free_memory_is_refused(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelFiles.read(*map(str, files))
    free = model.decoder.bytes + model.tower.bytes + model.decoder.cache_bytes(4096) + 100 * 2**20
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    model.check_memory(4096, 100)
    for context, reserve_mb in ((4096, 101), (4097, 100)):
        with pytest.raises(OutOfMemory, match=r"does not fit: .* stop other programs, use a smaller file"):
            model.check_memory(context, reserve_mb)
