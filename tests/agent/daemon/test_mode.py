"""A mode applies at once, is published, and still applies after a restart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from agent.daemon.mode import BadMode, ModeSwitch
from agent.daemon.store import Store
from agent.messages.topics import Topics
from agent.reporting.events import Events

pytestmark = pytest.mark.anyio
TOPICS = Topics("d")


class RecordingConnection:
    """Replaces a connected MQTT connection; keeps every posted message."""

    def __init__(self) -> None:
        self.connected = anyio.Event()
        self.connected.set()
        self.posted: list[tuple[str, Any, bool]] = []

    def post(self, topic: str, content: Any, *, retain: bool = False) -> None:
        self.posted.append((topic, content, retain))


class Run:
    """The parts of one run of an agent that the mode needs."""

    def __init__(self, folder: Path) -> None:
        self.answering = SimpleNamespace(mode="auto")
        self.connection = RecordingConnection()
        events = Events(self.connection, TOPICS.event)  # type: ignore[arg-type]
        store = Store(folder / "mode.json")
        self.switch = ModeSwitch(self.answering, store, self.connection, TOPICS, events)  # type: ignore[arg-type]
        self.switch.restore()


async def test_a_mode_applies_is_published_and_survives_a_restart(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert (run.answering.mode, run.connection.posted) == ("auto", [])
    for mode in ("cloud", "local"):
        await run.switch.receive(f" {mode}\n".encode())
        assert run.answering.mode == mode
    assert (TOPICS.mode_state, "local", True) in run.connection.posted
    assert (TOPICS.event, {"event": "mode", "mode": "local"}, False) in run.connection.posted
    assert Run(tmp_path).answering.mode == "local"


async def test_the_last_of_many_concurrent_changes_wins(tmp_path: Path) -> None:
    run = Run(tmp_path)
    async with anyio.create_task_group() as tasks:
        for mode in ("local", "cloud", "auto", "local", "cloud"):
            tasks.start_soon(run.switch.receive, mode.encode())
    assert run.answering.mode == Run(tmp_path).answering.mode


@pytest.mark.parametrize("word", [b"", b"Local", b"\xff", b"automatic"])
async def test_an_unknown_mode_changes_nothing_and_is_reported(tmp_path: Path, word: bytes) -> None:
    run = Run(tmp_path)
    await run.switch.receive(b"local")
    await run.switch.receive(word)
    assert run.answering.mode == Run(tmp_path).answering.mode == "local"
    assert run.connection.posted[-1][1]["code"] == "bad_mode"


async def test_a_failed_save_is_reported_and_the_mode_still_applies(tmp_path: Path) -> None:
    run = Run(tmp_path / "missing")
    await run.switch.receive(b"local")
    assert run.answering.mode == "local"
    assert "lost when the agent restarts" in run.connection.posted[-1][1]["message"]


async def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    await Run(tmp_path).switch.receive(b"local")
    (tmp_path / "mode.json").write_text("{")
    after = Run(tmp_path)
    assert after.answering.mode == "auto"
    assert after.connection.posted[-1][1]["code"] == "mode_damaged"


async def test_an_unknown_mode_changes_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(BadMode, match="'off' is not known: use auto, local, cloud"):
        await run.switch.set("off")
    assert (run.answering.mode, run.connection.posted) == ("auto", [])


async def test_an_event_reaches_other_readers_without_a_connection() -> None:
    connection, read = RecordingConnection(), list[dict[str, str]]()
    connection.connected = anyio.Event()
    Events(connection, TOPICS.event, also=read.append).publish("drift", message="m")  # type: ignore[arg-type]
    assert (connection.posted, read) == ([], [{"event": "drift", "message": "m"}])
