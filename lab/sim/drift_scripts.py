"""Drift scripts: how the conditions change during a replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from lab.errors import BenchError
from lab.sim.conditions import Conditions
from lab.sim.feedback import Feedback

SOME_FEEDBACK: Final = Feedback()
NO_FEEDBACK: Final = Feedback(share=0.0)
FULL_FEEDBACK: Final = Feedback(share=1.0)


@dataclass(frozen=True)
class Phase:
    """A part of a replay that contains `share` of its questions."""

    name: str
    share: float
    conditions: Conditions


@dataclass(frozen=True)
class DriftScript:
    """Phases in order; their shares add up to 1.

    Attributes:
        feedback: that the policies receive.
        cycle: number of questions after which the next phase starts; the phases then alternate until the
            end, and their shares are not used. None for each phase once.
        newcomer: if given, the policies know nothing of the cloud's most accurate model in advance, and its
            computing times are multiplied by this.
    """

    name: str
    phases: tuple[Phase, ...]
    feedback: Feedback = SOME_FEEDBACK
    cycle: int | None = None
    newcomer: float | None = None

    def starts(self, count: int) -> list[int]:
        """Returns the number of the first question of each part, for `count` questions in total."""
        if self.cycle is not None:
            return list(range(0, count, self.cycle))
        before = accumulate((phase.share for phase in self.phases[:-1]), initial=0.0)
        return [round(share * count) for share in before]

    def phase(self, part: int) -> Phase:
        """Returns the phase of a part, counted from 0."""
        return self.phases[part % len(self.phases)]


NORMAL: Final = Conditions()
BOARD_FAULT: Final = Conditions(board_wrong=0.25)
WORSE_CLOUD: Final = Conditions(cloud_wrong=0.25)


def _phases(name: str, *parts: tuple[str, Conditions], feedback: Feedback = SOME_FEEDBACK) -> DriftScript:
    """Phases of equal length."""
    share = 1 / len(parts)
    return DriftScript(name, tuple(Phase(part, share, conditions) for part, conditions in parts), feedback)


def _temporary(name: str, during: Conditions, otherwise: Conditions = NORMAL) -> DriftScript:
    return _phases(name, ("before", otherwise), ("during", during), ("after", otherwise))


def _permanent(name: str, after: Conditions, feedback: Feedback = SOME_FEEDBACK) -> DriftScript:
    return _phases(name, ("before", NORMAL), ("after", after), feedback=feedback)


def _twice(name: str, during: Conditions, feedback: Feedback = SOME_FEEDBACK) -> DriftScript:
    parts = (
        ("before", NORMAL),
        ("first", during),
        ("between", NORMAL),
        ("second", during),
        ("after", NORMAL),
    )
    return _phases(name, *parts, feedback=feedback)


def _ramp(name: str, *steps: float) -> DriftScript:
    return _phases(name, *((f"rtt x{step:g}", Conditions(rtt_factor=step)) for step in steps))


def _alternating(name: str, one: Conditions, other: Conditions, *, cycle: int) -> DriftScript:
    return replace(_phases(name, ("one", one), ("other", other)), cycle=cycle)


STEADY: Final = DriftScript("steady", (Phase("steady", 1.0, NORMAL),))
DRIFTS: Final = {
    script.name: script
    for script in (
        _temporary("rtt-x4", Conditions(rtt_factor=4.0)),
        _temporary("uplink-1mbps", Conditions(uplink_mbps=1.0)),
        _temporary("cloud-outage", Conditions(down=True)),
        _temporary("gpu-load", Conditions(other_gpu=0.6)),
        _temporary("power-mode", Conditions(clock=0.5)),
        _temporary("hot", Conditions(ambient_c=62.0)),
        _temporary("content-swap", Conditions(pool="hard"), Conditions(pool="easy")),
        _temporary("camera-degrades", Conditions(pool="degraded"), Conditions(pool="clean")),
        _temporary("worse-cloud", WORSE_CLOUD),
        _permanent("board-fault", BOARD_FAULT),
        _permanent("board-fault-no-feedback", BOARD_FAULT, NO_FEEDBACK),
        _permanent("board-fault-full-feedback", BOARD_FAULT, FULL_FEEDBACK),
        _twice("worse-cloud-twice", WORSE_CLOUD),
        _twice("worse-cloud-twice-no-feedback", WORSE_CLOUD, NO_FEEDBACK),
        replace(
            _phases("new-cloud-model", ("before", Conditions(absent="cloud")), ("after", NORMAL)),
            newcomer=0.5,
        ),
        _temporary("cloud-model-leaves", Conditions(absent="cloud")),
        _temporary("board-model-leaves", Conditions(absent="local")),
        _temporary("slow-cloud", Conditions(cloud_slow=3.0)),
        _ramp("rtt-ramp", 1, 2, 3, 4, 6, 8, 6, 4, 2, 1),
        _alternating("link-flaps", NORMAL, Conditions(down=True), cycle=30),  # about a minute each
        _alternating("content-alternates", Conditions(pool="easy"), Conditions(pool="hard"), cycle=100),
        _alternating("heat-cycles", NORMAL, Conditions(ambient_c=62.0), cycle=200),
        _alternating("bursts", NORMAL, Conditions(gap_factor=0.15), cycle=50),
        replace(STEADY, name="wrong-feedback", feedback=Feedback(share=1.0, wrong=0.2)),
    )
}
SCRIPTS: Final = {STEADY.name: STEADY, **DRIFTS}


def script_named(name: str) -> DriftScript:
    """Returns one of `SCRIPTS`. Raises BenchError for an unknown name."""
    if name not in SCRIPTS:
        raise BenchError(f"unknown drift script {name!r}: use one of {', '.join(SCRIPTS)}")
    return SCRIPTS[name]
