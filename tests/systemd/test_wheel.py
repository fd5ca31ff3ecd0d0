"""The wheel that scripts/install installs has the product, whole, and nothing else."""

from __future__ import annotations

import configparser
import zipfile
from collections.abc import Iterator

import pytest

from machine import ROOT, own_wheel

PRODUCT = {"agent", "cloud", "controller", "inarvl", "profiles", "vlm"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(own_wheel(tmp_path_factory.mktemp("wheel"))) as opened:
        yield opened


def test_the_wheel_has_only_the_packages_of_the_product(wheel: zipfile.ZipFile) -> None:
    folders = {name.partition("/")[0] for name in wheel.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == PRODUCT


@pytest.mark.parametrize("package", sorted(PRODUCT))
def test_the_wheel_has_every_module_and_data_file(wheel: zipfile.ZipFile, package: str) -> None:
    folder = ROOT / package
    data = (
        path for pattern in ("*.yaml", "*.json", "*.json.gz", "py.typed") for path in folder.glob(pattern)
    )
    models = (path for path in folder.glob("bundled/*/*") if path.is_file())
    expected = {path.relative_to(ROOT).as_posix() for path in (*folder.rglob("*.py"), *data, *models)}
    assert expected
    assert expected <= set(wheel.namelist())


def test_the_wheel_has_the_commands_of_the_product(wheel: zipfile.ZipFile) -> None:
    (declared,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(declared).decode())
    assert set(scripts["console_scripts"]) == {"inarvl", "inarvl-vlm", "inarvl-cloud"}
