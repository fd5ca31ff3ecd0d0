"""What is kept of one replay, also on disk, so that an interrupted report goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import controller
import lab
from lab.replay.bootstrap import tally
from lab.replay.drift_phases import Course
from lab.replay.runner import Task, run
from lab.replay.summary import Summary, summarise
from lab.sim.dataset import Matrix


@dataclass(frozen=True)
class Piece:
    """A replay's figures, its sums by group of questions, and if it drifted its course."""

    summary: Summary
    tally: Matrix
    course: Course | None


@dataclass(frozen=True)
class Pieces:
    """A folder of finished replays; those of another trace or another version of the code are never found.

    Attributes:
        fingerprint: of the trace and of the code.
    """

    folder: Path
    fingerprint: str

    @classmethod
    def of(cls, folder: Path, trace: Path) -> Pieces:
        """Read the fingerprint of a trace and of the code as they are now."""
        digest = hashlib.sha256(trace.read_bytes())
        for package in (lab, controller):
            for root in package.__path__:
                for path in sorted(Path(root).rglob("*.py")):
                    digest.update(path.read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, digest.hexdigest())

    def piece(self, task: Task) -> Piece:
        """A task's piece: the kept one, or a new one, which is then kept. Raises TraceError or BenchError."""
        key = hashlib.sha256(f"{self.fingerprint} {task}".encode()).hexdigest()[:32]
        path = self.folder / f"{key}.npz"
        if path.exists():
            return _read(path)
        made = _piece(task)
        _write(path, made)
        return made


def _piece(task: Task) -> Piece:
    result = run(task)
    groups = int(result.groups.max()) + 1
    course = Course.of(result) if result.phase.any() else None
    return Piece(summarise(result), tally(result, groups), course)


def _write(path: Path, piece: Piece) -> None:
    course = {} if piece.course is None else asdict(piece.course)
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, summary=np.array(json.dumps(asdict(piece.summary))), tally=piece.tally, **course)
    beside.replace(path)


def _read(path: Path) -> Piece:
    with np.load(path) as held:
        summary = Summary(**json.loads(str(held["summary"])))
        names = [name for name in held.files if name not in ("summary", "tally")]
        course = Course(**{name: held[name] for name in names}) if names else None
        return Piece(summary, held["tally"], course)
