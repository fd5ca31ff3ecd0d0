"""The files for llama.cpp's server are checked before it starts; each problem says what to do."""

from __future__ import annotations

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
