"""Every message on the page about troubleshooting is one of the code, word for word."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
PACKAGES = ("agent", "controller", "cloud", "vlm", "inarvl")
MESSAGE = re.compile(r"^\| `(.+?)` \|", re.M)
MESSAGES = MESSAGE.findall(PAGE.read_text())
PLACEHOLDER = re.compile(r"%[sdr]|\{[^{}]*\}|`[^`]*`|…+")


def shortened(text: str) -> str:
    """A text with `…` for all that differs from case to case, and for what has the marks of code."""
    return PLACEHOLDER.sub("…", text)


@cache
def texts_of_the_code() -> tuple[str, ...]:
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                    found.add(shortened("".join(map(str, parts))))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(shortened(node.value))
    return tuple(found)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str) -> None:
    words = message.strip("… ") if message.startswith("…") and not message.endswith("…") else message
    assert len(re.findall(r"[A-Za-z]{2,}", words)) >= 2, "too short to be found"
    wanted = shortened(words).removesuffix("…") if message.endswith("…") else shortened(words)
    assert any(wanted in text for text in texts_of_the_code())


def test_the_page_has_the_messages_of_each_part() -> None:
    assert len(MESSAGES) > 50


def test_a_message_that_is_not_in_the_code_is_noticed() -> None:
    with pytest.raises(AssertionError):
        test_a_message_is_one_of_the_code("the broker ate the message")
