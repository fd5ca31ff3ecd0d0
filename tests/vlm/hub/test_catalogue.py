"""The known checkpoints: names, sizes, and families that transformers can load without torchvision."""

import pytest
import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from typer.testing import CliRunner

from vlm import bundled
from vlm.cli import app
from vlm.errors import ModelLoadError
from vlm.hub import catalogue
from vlm.hub.catalogue import ENTRIES, Entry


def entry(hub_id: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.hub_id == hub_id)


def test_ids_and_their_last_parts_are_unique() -> None:
    names = [name.casefold() for e in ENTRIES for name in (e.hub_id, e.hub_id.rpartition("/")[2])]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("model_type", sorted({e.model_type for e in ENTRIES}))
def test_transformers_loads_the_family_and_prepares_its_images_with_pillow(model_type: str) -> None:
    config = transformers.AutoConfig.for_model(model_type)
    assert type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    assert type(config) in PROCESSOR_MAPPING


@pytest.mark.parametrize(
    ("hub_id", "nf4_gb", "boards"),
    [
        ("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", 0.4, 4),
        ("Qwen/Qwen3-VL-4B-Instruct", 2.9, 4),
        ("Qwen/Qwen3-VL-8B-Instruct", 6.4, 3),
    ],
)
def test_the_size_as_nf4_and_the_boards_are_computed(hub_id: str, nf4_gb: float, boards: int) -> None:
    assert round(entry(hub_id).nf4_gb, 1) == nf4_gb
    assert entry(hub_id).boards == tuple(catalogue.BOARDS)[-boards:]


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        ("Qwen/Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-2B-Instruct"),
        ("qwen3-vl-2b-instruct", "Qwen/Qwen3-VL-2B-Instruct"),
        ("smolvlm-256m", "HuggingFaceTB/SmolVLM-256M-Instruct"),
        ("somebody/else", "somebody/else"),
    ],
)
def test_names_of_checkpoints(name: str, hub_id: str) -> None:
    assert catalogue.hub_id(name) == hub_id


@pytest.mark.parametrize("name", ["", "qwen", "smolvlm-256mb", "./somebody/else", "/model", "a/b/c", "a/"])
def test_a_name_that_is_not_known_or_not_unique(name: str) -> None:
    with pytest.raises(ModelLoadError, match="give a name of `inarvl-vlm models`"):
        catalogue.hub_id(name)


def test_similar_names_are_suggested() -> None:
    run = CliRunner().invoke(app, ["pull", "smolvlm-256m-instuct"])
    assert run.exit_code == 1
    assert "similar names: HuggingFaceTB/SmolVLM-256M-Instruct" in run.output


def test_the_table_lists_known_and_bundled_checkpoints() -> None:
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 0, run.output
    lines = run.output.splitlines()
    assert len([line for line in lines if line.startswith("bundled:")]) == len(bundled.names())
    for known in ENTRIES:
        (line,) = [line for line in lines if line.startswith(f"{known.hub_id} ")]
        assert known.licence in line
        assert f"{known.nf4_gb:.1f} GB" in line
