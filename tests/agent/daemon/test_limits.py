"""The counts of the day survive a restart; if their files are damaged, an event says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.config.settings import Settings
from agent.daemon.limits import Limits

pytestmark = pytest.mark.anyio


class Recorded:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def error(self, code: str, _message: str, *, logged: bool = False) -> None:
        self.codes.append(code)


class NoServers:
    tested: Any = None

    def claimed_prices(self, _server: str) -> None:
        return None


def limits(folder: Path) -> tuple[Limits, list[str]]:
    events: Any = Recorded()
    servers: Any = NoServers()
    settings = Settings.model_validate({"device": "d", "state_dir": folder, "spend": {"per_day": 1.0}})
    found = Limits(settings, servers, events)
    found.restore()
    return found, events.codes


async def test_the_spend_is_restored(tmp_path: Path) -> None:
    first, codes = limits(tmp_path)
    await first.spend.reserve(0.75, (), "answer")
    again, _ = limits(tmp_path)
    assert (again.spend.report().today, codes) == (0.75, [])


async def test_lost_counts_are_reported_and_allow_nothing(tmp_path: Path) -> None:
    for name in ("spend", "cloud_calls"):
        await anyio.Path(tmp_path / f"{name}.json").write_text("{")
    found, codes = limits(tmp_path)
    assert codes == ["cloud_calls_lost", "spend_lost"]
    assert found.spend.problem(0.1) is not None
    assert found.calls.problem("gate", [("gate", 5)]) is not None  # type: ignore[list-item]


async def test_a_reached_cap_is_an_event(tmp_path: Path) -> None:
    found, codes = limits(tmp_path)
    assert found.spend.problem(2.0) is not None
    assert codes == ["spend_cap_reached"]
