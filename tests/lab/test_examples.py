"""The examples in the docstrings of the lab are correct."""

import doctest
import importlib
import pkgutil

import pytest

import lab

MODULES = [module.name for module in pkgutil.walk_packages(lab.__path__, "lab.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_correct(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
