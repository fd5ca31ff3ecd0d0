"""Writes the pages of docs/ that are made from the code: `python -m lab.documents`."""

from __future__ import annotations

from lab.documents.pages import ROOT, pages

for path, content in pages().items():
    (ROOT / path).write_text(content)
