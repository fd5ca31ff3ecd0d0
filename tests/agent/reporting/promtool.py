"""Runs promtool, which scripts/promtool installs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def promtool(*arguments: str, folder: Path = ROOT, text: bytes = b"") -> str:
    """Returns what promtool prints; fails the test if it finds a mistake, and skips it without promtool."""
    own = ROOT / ".tools/promtool"
    tool = str(own) if own.exists() else shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is missing: run scripts/promtool")
    ran = subprocess.run([tool, *arguments], input=text, cwd=folder, capture_output=True, check=False)
    output = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == 0, output
    return output
