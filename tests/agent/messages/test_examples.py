"""The examples in the docstrings of `agent.messages` are true."""

import doctest

import pytest

from agent.messages import asked_at, oversize
from inarvl import printable


@pytest.mark.parametrize("module", [asked_at, oversize, printable])
def test_examples_are_true(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert (results.failed, results.attempted > 0) == (0, True)
