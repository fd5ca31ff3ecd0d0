"""Numbers are printed rounded, with their unit, and as words where they are none."""

from __future__ import annotations

import doctest
import math

import pytest

from agent.cli import figures


def test_the_examples_are_true() -> None:
    assert doctest.testmod(figures).failed == 0


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.1 + 0.2, "0.3"),
        (1e-12, "0"),
        (-1e-12, "0"),
        (999.9, "1,000"),
        (1e6, "1,000,000"),
        (-1234.5, "-1,234"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_a_number_has_three_digits_and_no_exponent(value: float, printed: str) -> None:
    assert figures.number(value) == printed


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("kept", {"low": 0.9, "estimate": 0.95, "high": 1.0}, "kept 95.0% (90.0 to 100.0%)"),
        ("temps_c", {"cpu": 51.25}, "temps c (cpu 51.2)"),
        ("battery_pct", 81.5, "battery 82%"),
        ("memory_available_mb", 3120.4, "memory available 3,120 MB"),
        ("servers", ["a", None], "servers a, -"),
        ("servers", [], "servers -"),
        ("questions", 12345, "questions 12,345"),
        ("mode", None, "mode -"),
        ("escalated", 0.123, "escalated 12%"),
    ],
)
def test_a_field_is_printed_with_the_unit_of_its_name(name: str, value: object, printed: str) -> None:
    assert figures.labelled(name, value) == printed
