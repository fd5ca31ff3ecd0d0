"""The policies by name, each with a knob that trades cost for accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError
from bench.policies.fixed import Always, ShareMatchedRandom
from bench.policies.oracle import Oracle
from bench.policies.ours import Ours, settings_for
from bench.sim.dataset import Dataset
from bench.sim.policy import Policy
from bench.sim.profile import CostProfile
from bench.sim.stream import Stream
from controller.arm import Arm


@dataclass(frozen=True)
class Setting:
    """What a policy may be made from: the tuning half is known, the stream's future only to an oracle.

    Attributes:
        knob: from its entry's `knobs`, the first of which is its default.
    """

    tuning: Dataset
    profile: CostProfile
    stream: Stream
    seed: int
    knob: float

    @property
    def edge(self) -> Arm:
        """The board's most accurate arm on the tuning half."""
        return self.tuning.arms[self.tuning.best("local")]

    @property
    def cloud(self) -> Arm:
        """The cloud's most accurate arm on the tuning half: the reference."""
        return self.tuning.arms[self.tuning.best("cloud")]


@dataclass(frozen=True)
class Entry:
    """A policy in the lineup.

    Attributes:
        knobs: its default first, then what it is swept over.
        learns: `online`, `offline` (fitted to the tuning half), `hindsight` (knows the future) or `nothing`.
    """

    name: str
    make: Callable[[Setting], Policy]
    knobs: tuple[float, ...]
    learns: str
    about: str


def _ours(setting: Setting) -> Policy:
    return Ours(settings_for(setting.tuning, setting.profile, floor=setting.knob), seed=setting.seed)


ENTRIES: Final = {
    entry.name: entry
    for entry in (
        Entry(
            "inarvl",
            _ours,
            (0.97, 0.9, 0.94, 0.98, 0.99),
            "online",
            "the controller, from cold; knob: its floor",
        ),
        Entry("always-edge", lambda s: Always(s.edge), (0.0,), "nothing", "the board's most accurate arm"),
        Entry("always-cloud", lambda s: Always(s.cloud), (0.0,), "nothing", "the reference"),
        Entry(
            "random",
            lambda s: ShareMatchedRandom(s.edge, s.cloud, s.knob, seed=s.seed),
            (0.36, 0.95, 0.8, 0.65, 0.5, 0.2, 0.05),
            "nothing",
            "a coin; knob: share on the board",
        ),
        Entry("oracle", lambda s: Oracle(s.stream), (0.0,), "hindsight", "the cheapest right arm"),
    )
}


def entry_named(name: str) -> Entry:
    """One of `ENTRIES`. Raises BenchError where there is none of that name."""
    if name not in ENTRIES:
        raise BenchError(f"there is no policy {name!r}: use one of {', '.join(ENTRIES)}")
    return ENTRIES[name]
