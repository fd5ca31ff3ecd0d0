"""The examples in the docstrings of `agent.agreement` are true."""

import doctest
import importlib
import pkgutil

import pytest

import agent.agreement


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(agent.agreement.__path__)])
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"agent.agreement.{name}")).failed == 0
