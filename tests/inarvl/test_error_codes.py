"""The list of error codes is complete: the code and the documentation have the same ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from inarvl.error_codes import ERROR_CODES, as_markdown

ROOT = Path(__file__).parents[2]
PRODUCT = ("agent", "controller", "cloud", "vlm", "inarvl")
RAISED_WITH_CODE = {"BadQuery", "HttpError", "error", "set_aside"}  # the first argument is the code

FAILURES = {"CANCELLED", "INVALID"}  # constants with the code of a failed execution


def codes_in(path: Path) -> Iterator[str]:
    """Codes that a file gives to an error, an event or a failed execution."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code":
                    yield ast.literal_eval(line.value)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in RAISED_WITH_CODE and node.args and _is_code(node.args[0]):
                yield ast.literal_eval(node.args[0])
            yield from (
                ast.literal_eval(keyword.value)
                for keyword in node.keywords
                if keyword.arg == "failure"
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value
            )
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in FAILURES:
            yield ast.literal_eval(node.value)


def _is_code(node: ast.expr) -> bool:
    text = getattr(node, "value", None)
    return isinstance(text, str) and text.replace("_", "").isalpha() and text.islower()


def used() -> set[str]:
    return {code for package in PRODUCT for path in (ROOT / package).rglob("*.py") for code in codes_in(path)}


def test_every_code_is_listed_once() -> None:
    listed = [row.code for row in ERROR_CODES]
    assert len(listed) == len(set(listed))
    assert used() == set(listed)


def test_the_page_has_the_same_codes() -> None:
    assert (ROOT / "docs" / "error-codes.md").read_text() == as_markdown()
