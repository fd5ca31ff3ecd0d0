"""Fixtures that stand in for the files of boards that are not here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TREES = Path(__file__).parent / "trees"


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[str], Path]:
    """Lay out the files of a board and give their root.

    Each line of trees/NAME.tree is a path and its content; the first one says whether it was captured on such
    a board or constructed from the documentation.
    """

    def lay_out(name: str) -> Path:
        for line in (TREES / f"{name}.tree").read_text().splitlines():
            if line.startswith("#"):
                continue
            path, _, content = line.partition(" ")
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")
        return tmp_path

    return lay_out
