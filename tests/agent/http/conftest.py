"""Fixtures: the HTTP door in front of a real intake and queue, with one worker that answers from a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from http_rig import HttpRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[HttpRig]:
    async with HttpRig(tmp_path).serving() as rig:
        yield rig
