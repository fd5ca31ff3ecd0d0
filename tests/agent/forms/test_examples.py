"""The examples in the docstrings of `agent.forms` are true."""

import doctest
import importlib
import pkgutil

import pytest

import agent.forms


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(agent.forms.__path__)])
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"agent.forms.{name}")).failed == 0
