"""The controller's learned state survives a restart; an unusable file is reported."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from anyio import from_thread

from agent.agreement.calibration import Calibration
from agent.answering.feedback_trust import FeedbackTrust
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
    return LearnedState(controller, Calibration(), FeedbackTrust(), store, events), events  # type: ignore[arg-type]


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
    learned = LearnedState(controller, Calibration(), FeedbackTrust(), store, RecordedEvents())  # type: ignore[arg-type]
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


@pytest.mark.parametrize("saved_before", [True, False])
def test_a_state_that_is_not_finite_is_not_saved_and_the_last_one_is_used_again(
    tmp_path: Path, saved_before: bool
) -> None:
    controller = new_controller()
    valid = controller.snapshot()
    learned, events = learned_state(tmp_path, controller)
    learned.restore(None)
    for _ in range(2 if saved_before else 0):  # the file and its backup
        anyio.run(learned.save)
    controller._learned.differ = float("nan")
    for _ in range(3):
        anyio.run(learned.save)
    assert events.codes == ["learned_damaged"]
    assert controller.snapshot() == valid
    after, events = learned_state(tmp_path, new_controller(seed=1))
    after.restore(None)
    assert events.codes == []


def test_a_file_with_a_number_that_is_not_finite_is_set_aside(tmp_path: Path) -> None:
    """As earlier versions could write it."""
    spoilt = {**new_controller().snapshot(), "differ": float("nan")}
    body = json.dumps(spoilt)
    text = json.dumps({"crc32": zlib.crc32(body.encode()), "body": body})
    for name in ("learned.json", "learned.backup"):
        (tmp_path / name).write_text(text)
    controller = new_controller()
    learned, events = learned_state(tmp_path, controller)
    learned.restore(None)
    assert events.codes == ["learned_damaged"] * 2
    assert len(list(tmp_path.glob("*.bad-*"))) == 2
    json.dumps(controller.snapshot(), allow_nan=False)
