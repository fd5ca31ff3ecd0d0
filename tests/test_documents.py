"""Links and paths in the documents lead to files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "vlm/bundled").rglob("*.md")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_paths_in_contributing_exist() -> None:
    paths = PATH.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_contributing_lists_every_package() -> None:
    listed = set(PATH.findall((ROOT / "CONTRIBUTING.md").read_text()))
    packages = (
        init.parent
        for top in ("agent", "controller", "vlm", "cloud", "inarvl", "lab")
        for init in (ROOT / top).glob("**/__init__.py")
    )
    two_levels = {
        f"{relative(package)}/" for package in packages if len(package.relative_to(ROOT).parts) <= 2
    }
    assert two_levels - listed == set()
