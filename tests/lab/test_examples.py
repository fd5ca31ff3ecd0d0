"""The examples in the docstrings of the lab are correct."""

import doctest
import importlib
import pkgutil

import pytest

import lab

MODULES = [module.name for module in pkgutil.walk_packages(lab.__path__, "lab.")]
ELSEWHERE = {"mkdocs": "scripts/docs", "playwright": "scripts/chromium"}  # installed by these only


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_correct(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in ELSEWHERE:
            raise
        pytest.skip(f"{package} is not installed: run {ELSEWHERE[package]}")
    assert doctest.testmod(module).failed == 0
