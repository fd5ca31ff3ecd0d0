"""The documentation site builds without a warning, can be searched, and needs no other host."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
NAV = re.compile(r"[\w/-]+\.md")
ASSET = re.compile(
    r"<(?:script|img|iframe)[^>]* src=\"?(\w+:)?//|<link[^>]* rel=\"?stylesheet\"?[^>]* href=\"?https?:", re.I
)


def test_every_page_is_in_the_navigation() -> None:
    listed = set(NAV.findall((ROOT / "mkdocs.yml").read_text()))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == listed


@pytest.mark.slow
def test_the_site_builds_without_a_warning() -> None:
    built = subprocess.run([ROOT / "scripts" / "docs"], capture_output=True, text=True, check=False)
    printed = built.stdout + built.stderr
    assert built.returncode == 0, printed
    assert (SITE / "index.html").exists()
    assert "orin-nano-8gb" in (SITE / "search" / "search_index.json").read_text()
    assert (SITE / "repository" / "examples" / "ask.py").exists(), "a file that a page links"
    pages = list(SITE.rglob("*.html"))
    assert len(pages) > 40
    assert [page.name for page in pages if ASSET.search(page.read_text())] == []
