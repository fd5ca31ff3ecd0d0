"""Fixtures: a spool with room for four queries, and an MQTT door in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.spool.spool import Spool
from door_rig import DoorRig


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool.db", max_waiting=4)
    yield opened
    await opened.close()


@pytest.fixture
def rig(spool: Spool) -> DoorRig:
    return DoorRig(spool)
