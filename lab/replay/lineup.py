"""The policies by name, each with a knob that trades cost for accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from controller import Controller, ControllerSettings, Policy
from lab.errors import BenchError
from lab.policies.accuracy_predictors import ByPrediction, Predictor, fit_factorisation, fit_knn
from lab.policies.baselines import Always, ShareMatchedRandom
from lab.policies.cascade import Cascade, Kind, fit_pair
from lab.policies.complexity import Complexity, QualityTable, StaticPareto, Thresholds
from lab.policies.inarvl import seeded_controller, settings_for
from lab.policies.linucb import LinUCB
from lab.policies.oracle import Oracle
from lab.policies.virtual_queue import VirtualQueue
from lab.replay.policy_inputs import Setting
from lab.replay.warm_start import knowledge_of
from lab.sim.dataset import Dataset

PolicyMaker = Callable[[Setting], Policy[Any]]
Change = Callable[[ControllerSettings], ControllerSettings]
Learns = Literal["online", "offline", "hindsight", "nothing"]
FLOORS: Final = (0.97, 0.9, 0.94, 0.98, 0.99)
OURS: Final = ("inarvl", "inarvl-cold")
COLD_AUDITS: Final = ControllerSettings().audit_budget  # the bundled profiles begin warm, and spend less
WORTHS: Final = (0.1, 0.02, 0.04, 0.07, 0.15, 0.25, 0.5, 1.0)  # of a unit of price, in right answers


@dataclass(frozen=True)
class Entry:
    """A policy in the lineup.

    Attributes:
        knobs: its default first, then what it is swept over.
        learns: while it runs, from the tuning half, from the future, or not at all.
        about: what it is, and what its knob is.
    """

    name: str
    make: PolicyMaker
    knobs: tuple[float, ...]
    learns: Learns
    about: str


def warm(
    s: Setting, kind: type[Controller] = Controller, change: Change = lambda settings: settings
) -> Controller:
    """The controller, or one like it, with other settings; knowing of the tuning half what that kind sees."""
    settings = settings_for(s.tuning, s.profile, floor=s.knob)
    known = s.fitted(f"knowledge {kind.__name__}", lambda: knowledge_of(s.tuning, settings, kind))
    return seeded_controller(change(settings), seed=s.seed, knowledge=known, kind=kind)


def _cold(s: Setting) -> Controller:
    settings = settings_for(s.tuning, s.profile, floor=s.knob, audit_budget=COLD_AUDITS)
    return seeded_controller(settings, seed=s.seed)


def _cascade(kind: Kind) -> PolicyMaker:
    def make(s: Setting) -> Policy[Any]:
        pair = s.fitted(f"cascade {kind}", lambda: fit_pair(s.tuning, s.at_rest, kind))
        return Cascade(pair, pair.threshold(s.knob))

    return make


def _static_pareto(s: Setting) -> Policy[Any]:
    table = s.fitted("qualities", lambda: QualityTable.fit(s.tuning))
    return StaticPareto(table, s.at_rest, s.tuning, s.asked, s.knob)


def _thresholds(s: Setting) -> Policy[Any]:
    complexity = s.fitted("complexity", lambda: Complexity.fit(s.tuning))
    return Thresholds(complexity, s.tuning, s.asked, 1.0 - s.knob, s.profile.path.rtt_ms)


def _predicted(name: str, fit: Callable[[Dataset], Predictor]) -> PolicyMaker:
    def make(s: Setting) -> Policy[Any]:
        predictor = s.fitted(name, lambda: fit(s.tuning))
        matrix = s.stream.dataset.matrix
        predicted = s.fitted(f"{name} {id(s.stream.dataset)}", lambda: predictor(matrix))
        return ByPrediction(predicted[s.stream.rows], s.at_rest, s.tuning, s.knob)

    return make


def _linucb(discount: float) -> PolicyMaker:
    return lambda s: LinUCB(s.tuning, s.truth, s.prices, s.knob, discount=discount)


def _vowpal(s: Setting) -> Policy[Any]:
    from lab.policies.vowpal_wabbit import Vowpal  # where its package is not, the others still run

    return Vowpal(s.tuning, s.truth, s.prices, s.knob, seed=s.seed)


def _paretobandit(s: Setting) -> Policy[Any]:
    from lab.policies.paretobandit import ParetoBandit  # as above

    return ParetoBandit(s.tuning, s.truth, s.prices, s.knob, seed=s.seed)


def _virtual_queue(s: Setting) -> Policy[Any]:
    alpha = s.knob * float(s.tuning.correct[:, s.tuning.best("cloud")].mean())
    return VirtualQueue(s.tuning, s.truth, s.prices, alpha, seed=s.seed)


ENTRIES: Final = {
    entry.name: entry
    for entry in (
        Entry("inarvl", warm, FLOORS, "online", "the controller, knowing the tuning half; knob: its floor"),
        Entry("inarvl-cold", _cold, FLOORS, "online", "the same, knowing nothing of the models"),
        Entry("always-edge", lambda s: Always(s.edge), (0.0,), "nothing", "the board's most accurate arm"),
        Entry("always-cloud", lambda s: Always(s.cloud), (0.0,), "nothing", "the reference"),
        Entry(
            "random",
            lambda s: ShareMatchedRandom(s.edge, s.cloud, 1.0 - s.knob, seed=s.seed),
            (0.64, 0.05, 0.2, 0.35, 0.5, 0.8, 0.95),
            "nothing",
            "a coin; knob: share to the cloud",
        ),
        Entry(
            "static-pareto",
            _static_pareto,
            (0.97, 0.7, 0.8, 0.9, 0.94, 0.99, 1.0),
            "offline",
            "INAR-VL-like: cheapest arm that is good enough for the complexity; knob: how good",
        ),
        Entry(
            "thresholds",
            _thresholds,
            (0.5, 0.05, 0.2, 0.35, 0.65, 0.8, 0.95),
            "offline",
            "MoA-Off-like: complex in either modality goes to the cloud; knob: share counted complex",
        ),
        Entry(
            "cascade-raw",
            _cascade("raw"),
            (0.35, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8),
            "offline",
            "the board first, escalated by its tokens' mean probability; knob: share escalated",
        ),
        Entry(
            "cascade-isotonic",
            _cascade("isotonic"),
            (0.35, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8),
            "offline",
            "the board first, escalated by its calibrated margin; knob: share escalated",
        ),
        Entry(
            "knn", _predicted("knn", fit_knn), WORTHS, "offline", "accuracy of near questions; knob: price"
        ),
        Entry(
            "factorisation",
            _predicted("factorisation", fit_factorisation),
            WORTHS,
            "offline",
            "accuracy by matrix factorisation; knob: price",
        ),
        Entry("linucb", _linucb(1.0), WORTHS, "online", "forgets nothing; knob: price"),
        Entry("linucb-discounted", _linucb(0.998), WORTHS, "online", "memory of 500 runs; knob: price"),
        Entry(
            "vowpal-wabbit",
            _vowpal,
            WORTHS,
            "online",
            "cb_explore_adf with SquareCB; knob: price",
        ),
        Entry(
            "paretobandit",
            _paretobandit,
            (0.3, 0.01, 0.03, 0.06, 0.1, 0.2, 0.5),
            "online",
            "its package, from cold; knob: its cost penalty",
        ),
        Entry(
            "virtual-queue",
            _virtual_queue,
            (0.98, 0.85, 0.9, 0.94, 1.0, 1.05),
            "online",
            "MESS+-like; knob: accuracy to hold, as a share of the reference's",
        ),
        Entry("oracle", lambda s: Oracle(s.stream), (0.0,), "hindsight", "the cheapest right arm"),
    )
}


def entry_named(name: str) -> Entry:
    """One of `ENTRIES`. Raises BenchError where there is none of that name."""
    if name not in ENTRIES:
        raise BenchError(f"there is no policy {name!r}: use one of {', '.join(ENTRIES)}")
    return ENTRIES[name]
