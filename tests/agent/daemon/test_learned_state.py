"""The controller's learned state survives a restart; an unusable file is reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import anyio
import numpy as np
import pytest

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
