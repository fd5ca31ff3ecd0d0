"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir


@dataclass(frozen=True)
class Plan:
    """The number of rounds, and how much each of them does.

    Attributes:
        questions: to the agent, in a round, for each number under way.
        under_way: numbers of questions that are under way at the same time.
        remembered: questions after which the agent's memory is read.
        idle_s: how long the idle agent is watched.
        pictures: sizes of the JPEGs whose signals are measured, in pixels.
        signal_repeats, spooled, decisions, answers: signals of a picture, spool entries, decisions and
            answers of a model server, in a round.
        folder: for state and spool; it should be on the disk of the agent's state.
    """

    rounds: int = 5
    questions: int = 200
    under_way: tuple[int, ...] = (1, 8, 64)
    remembered: int = 10_000
    idle_s: float = 30.0
    pictures: tuple[tuple[int, int], ...] = ((640, 480), (1920, 1080), (4000, 3000))
    signal_repeats: int = 15
    spooled: int = 640
    decisions: int = 2000
    answers: int = 30
    folder: Path = field(default_factory=lambda: Path(gettempdir()))


def short(folder: Path) -> Plan:
    """Returns a plan that finishes in seconds; its figures mean little."""
    return Plan(
        rounds=1,
        questions=16,
        under_way=(1, 8),
        remembered=40,
        idle_s=1.0,
        pictures=((640, 480),),
        signal_repeats=2,
        spooled=64,
        decisions=60,
        answers=2,
        folder=folder,
    )
