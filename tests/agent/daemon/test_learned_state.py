"""The controller's learned state survives a restart; an unusable file is reported."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from anyio import from_thread

from agent.agreement.calibration import Calibration
from agent.daemon.learned_state import LearnedState
from agent.daemon.store import Store
from controller import Controller, ControllerSettings


class RecordedEvents:
    """Replaces the events; keeps the codes of the errors."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def error(self, code: str, message: str) -> None:
        self.codes.append(code)


def new_controller(seed: int = 0) -> Controller:
    return Controller(ControllerSettings(), rng=np.random.default_rng(seed))


def learned_state(folder: Path, controller: Controller) -> tuple[LearnedState, RecordedEvents]:
    events = RecordedEvents()
    store = Store(folder / "learned.json")
    return LearnedState(controller, Calibration(), store, events), events  # type: ignore[arg-type]


def test_a_warm_start_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    knowledge = Controller(ControllerSettings(floor=0.9), rng=np.random.default_rng(0)).knowledge()
    warm_start = tmp_path / "knowledge.json.gz"
    for content, codes in ((b"", ["warm_start_failed"]), (gzip.compress(json.dumps(knowledge).encode()), [])):
        warm_start.write_bytes(content)
        learned, events = learned_state(tmp_path, new_controller())
        learned.restore(warm_start)
        assert events.codes == codes


def test_a_save_is_restored_and_a_damaged_one_reported(tmp_path: Path) -> None:
    before = new_controller()
    anyio.run(learned_state(tmp_path, before)[0].save)
    after = new_controller(seed=1)
    learned, events = learned_state(tmp_path, after)
    learned.restore(None)
    assert (after.snapshot(), events.codes) == (before.snapshot(), [])
    (tmp_path / "learned.json").write_text("{")
    learned.restore(None)
    assert events.codes == ["learned_damaged"]


def test_a_failed_save_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learned, _ = learned_state(tmp_path / "missing", new_controller())
    anyio.run(learned.save)
    assert "check the disk" in caplog.text


class SlowStore(Store):
    """A store whose first save waits, inside its write, until a test releases it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writing, self.released = anyio.Event(), threading.Event()
        self.writers = 0

    def save(self, content: dict[str, Any]) -> None:
        self.writers += 1
        assert self.writers == 1, "two saves at the same time"
        from_thread.run_sync(self.writing.set)
        assert self.released.wait(60)
        super().save(content)
        self.writers -= 1


@pytest.mark.anyio
async def test_the_last_save_waits_for_a_cancelled_one_and_writes_what_is_known_last(tmp_path: Path) -> None:
    store, known = SlowStore(tmp_path / "learned.json"), {"answers": 1}
    controller = SimpleNamespace(snapshot=lambda: dict(known))
    learned = LearnedState(controller, Calibration(), store, RecordedEvents())  # type: ignore[arg-type]
    async with anyio.create_task_group() as background:
        background.start_soon(learned.save_every, 0.0)
        await store.writing.wait()
        known["answers"] = 2
        background.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as stopping:
                stopping.start_soon(learned.save)
                await anyio.wait_all_tasks_blocked()
                store.released.set()
    restored: list[dict[str, Any]] = []
    assert store.load(restored.append) == []
    assert [content["answers"] for content in restored] == [2]
