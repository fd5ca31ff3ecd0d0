"""The lineup: all policies by name, each with a knob that trades cost for accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from controller import Controller, ControllerSettings, Policy
from lab.errors import BenchError
from lab.policies.accuracy_predictors import PredictedAccuracy, Predictor, fit_factorisation, fit_knn
from lab.policies.answer_forecasts import AnswerForecaster, Forecasting, Forecasts, cross_fitted
from lab.policies.baselines import Always, ShareMatchedRandom
from lab.policies.cascade import Cascade, Kind, fit_pair
from lab.policies.complexity import Complexity, QualityTable, StaticPareto, Thresholds
from lab.policies.inarvl import seeded_controller, settings_for
from lab.policies.linucb import LinUCB
from lab.policies.oracle import Oracle
from lab.policies.two_stage import TwoStage, fit_plan
from lab.policies.virtual_queue import VirtualQueue
from lab.replay.policy_inputs import PolicyInputs
from lab.replay.warm_start import knowledge_of
from lab.sim.dataset import Dataset

PolicyMaker = Callable[[PolicyInputs], Policy[Any]]
Change = Callable[[ControllerSettings], ControllerSettings]
Learns = Literal["online", "offline", "hindsight", "nothing"]
FLOORS: Final = (0.97, 0.9, 0.94, 0.98, 0.99, 0.995)
TWO_STAGE_FLOORS: Final = (0.99, 0.9, 0.95, 0.97, 0.98, 0.985, 0.993, 0.995, 1.0)
OURS: Final = ("inarvl", "inarvl-cold")
COLD_AUDITS: Final = (
    ControllerSettings().audit_budget
)  # the bundled profiles start warm with a smaller budget
PRICE_KNOBS: Final = (
    0.1,
    0.02,
    0.04,
    0.07,
    0.15,
    0.25,
    0.5,
    1.0,
)  # value of a unit of price in right answers


@dataclass(frozen=True)
class LineupEntry:
    """A policy in the lineup.

    Attributes:
        knobs: values of its knob, the default first.
        learns: during the replay (online), from the tuning half (offline), from the workload (hindsight).
        about: what the policy and its knob are.
    """

    name: str
    make: PolicyMaker
    knobs: tuple[float, ...]
    learns: Learns
    about: str


def warm_controller(
    inputs: PolicyInputs, kind: type[Controller] = Controller, change: Change = lambda settings: settings
) -> Controller:
    """Returns a controller with a warm start from the tuning half; `kind` and `change` make an ablation."""
    settings = settings_for(inputs.tuning, inputs.profile, floor=inputs.knob)
    knowledge = inputs.fit_once(
        f"knowledge {kind.__name__}", lambda: knowledge_of(inputs.tuning, settings, kind)
    )
    return seeded_controller(change(settings), seed=inputs.seed, knowledge=knowledge, kind=kind)


def _cold_controller(inputs: PolicyInputs) -> Controller:
    settings = settings_for(inputs.tuning, inputs.profile, floor=inputs.knob, audit_budget=COLD_AUDITS)
    return seeded_controller(settings, seed=inputs.seed)


def _random(inputs: PolicyInputs) -> Policy[Any]:
    return ShareMatchedRandom(inputs.edge, inputs.cloud, 1.0 - inputs.knob, seed=inputs.seed)


def _cascade(kind: Kind) -> PolicyMaker:
    def make(inputs: PolicyInputs) -> Policy[Any]:
        pair = inputs.fit_once(f"cascade {kind}", lambda: fit_pair(inputs.tuning, inputs.idle_prices, kind))
        return Cascade(pair, pair.threshold(inputs.knob))

    return make


def _static_pareto(inputs: PolicyInputs) -> Policy[Any]:
    table = inputs.fit_once("qualities", lambda: QualityTable.fit(inputs.tuning))
    return StaticPareto(table, inputs.idle_prices, inputs.tuning, inputs.signals, inputs.knob)


def _thresholds(inputs: PolicyInputs) -> Policy[Any]:
    complexity = inputs.fit_once("complexity", lambda: Complexity.fit(inputs.tuning))
    rtt_ms = inputs.profile.link.rtt_ms
    return Thresholds(complexity, inputs.tuning, inputs.signals, 1.0 - inputs.knob, rtt_ms)


def _predicted(name: str, fit: Callable[[Dataset], Predictor]) -> PolicyMaker:
    def make(inputs: PolicyInputs) -> Policy[Any]:
        predictor = inputs.fit_once(name, lambda: fit(inputs.tuning))
        dataset = inputs.workload.dataset
        predicted = inputs.fit_once(f"{name} replayed", lambda: predictor(dataset.matrix))
        rows = inputs.workload.rows
        return PredictedAccuracy(predicted[rows], inputs.idle_prices, inputs.tuning, inputs.knob)

    return make


def _two_stage(kind: Forecasting) -> PolicyMaker:
    def make(inputs: PolicyInputs) -> Policy[Any]:
        tuning, replayed, name = inputs.tuning, inputs.workload.dataset, f"two-stage {kind}"
        own = inputs.fit_once(f"{name} cross-fitted", lambda: cross_fitted(tuning, kind))
        idle, floor = inputs.idle_prices, inputs.knob
        plan = inputs.fit_once(f"{name} plan {floor}", lambda: fit_plan(tuning, own, idle, floor))
        fitted = inputs.fit_once(name, lambda: AnswerForecaster(tuning, kind)(replayed))
        rows = inputs.workload.rows
        forecasts = Forecasts(fitted.before[rows], fitted.kept[rows], fitted.asked[rows])
        return TwoStage(plan, forecasts, idle, tuning, inputs.profile)

    return make


def _linucb(discount: float) -> PolicyMaker:
    return lambda inputs: LinUCB(inputs.tuning, inputs.truth, inputs.prices, inputs.knob, discount=discount)


def _vowpal(inputs: PolicyInputs) -> Policy[Any]:
    from lab.policies.vowpal_wabbit import Vowpal  # without its package the other policies still run

    return Vowpal(inputs.tuning, inputs.truth, inputs.prices, inputs.knob, seed=inputs.seed)


def _paretobandit(inputs: PolicyInputs) -> Policy[Any]:
    from lab.policies.paretobandit import ParetoBandit  # as above

    return ParetoBandit(inputs.tuning, inputs.truth, inputs.prices, inputs.knob, seed=inputs.seed)


def _virtual_queue(inputs: PolicyInputs) -> Policy[Any]:
    tuning = inputs.tuning
    alpha = inputs.knob * float(tuning.correct[:, tuning.best_column("cloud")].mean())
    return VirtualQueue(tuning, inputs.truth, inputs.prices, alpha, seed=inputs.seed)


LINEUP: Final = {
    entry.name: entry
    for entry in (
        LineupEntry(
            "inarvl",
            warm_controller,
            FLOORS,
            "online",
            "the controller with a warm start from the tuning half; knob: its floor",
        ),
        LineupEntry(
            "inarvl-cold",
            _cold_controller,
            FLOORS,
            "online",
            "the controller without a warm start; knob: its floor",
        ),
        LineupEntry(
            "always-edge",
            lambda inputs: Always(inputs.edge),
            (0.0,),
            "nothing",
            "the board's most accurate arm",
        ),
        LineupEntry(
            "always-cloud",
            lambda inputs: Always(inputs.cloud),
            (0.0,),
            "nothing",
            "the cloud's most accurate arm, the reference",
        ),
        LineupEntry(
            "random",
            _random,
            (0.64, 0.05, 0.2, 0.35, 0.5, 0.8, 0.95),
            "nothing",
            "random choice; knob: share to the cloud",
        ),
        LineupEntry(
            "static-pareto",
            _static_pareto,
            (0.97, 0.7, 0.8, 0.9, 0.94, 0.99, 1.0),
            "offline",
            "INAR-VL-like: the cheapest arm that is accurate enough for its complexity; knob: how accurate",
        ),
        LineupEntry(
            "thresholds",
            _thresholds,
            (0.5, 0.05, 0.2, 0.35, 0.65, 0.8, 0.95),
            "offline",
            "MoA-Off-like: complex image or text to the cloud; knob: share that counts as complex",
        ),
        LineupEntry(
            "cascade-raw",
            _cascade("raw"),
            (0.35, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8),
            "offline",
            "the board first, escalated by the mean probability of its tokens; knob: share escalated",
        ),
        LineupEntry(
            "cascade-isotonic",
            _cascade("isotonic"),
            (0.35, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8),
            "offline",
            "the board first, escalated by its calibrated first-token margin; knob: share escalated",
        ),
        LineupEntry(
            "knn",
            _predicted("knn", fit_knn),
            PRICE_KNOBS,
            "offline",
            "accuracy of similar questions; knob: price",
        ),
        LineupEntry(
            "factorisation",
            _predicted("factorisation", fit_factorisation),
            PRICE_KNOBS,
            "offline",
            "accuracy by matrix factorisation; knob: price",
        ),
        LineupEntry(
            "two-stage",
            _two_stage("logistic"),
            TWO_STAGE_FLOORS,
            "offline",
            "minimum expected cost under an expected accuracy, before and after the answer; knob: its floor",
        ),
        LineupEntry(
            "two-stage-boosted",
            _two_stage("boosted"),
            TWO_STAGE_FLOORS,
            "offline",
            "the same with boosted trees; knob: its floor",
        ),
        LineupEntry("linucb", _linucb(1.0), PRICE_KNOBS, "online", "forgets nothing; knob: price"),
        LineupEntry(
            "linucb-discounted", _linucb(0.998), PRICE_KNOBS, "online", "memory of 500 answers; knob: price"
        ),
        LineupEntry(
            "vowpal-wabbit", _vowpal, PRICE_KNOBS, "online", "cb_explore_adf with SquareCB; knob: price"
        ),
        LineupEntry(
            "paretobandit",
            _paretobandit,
            (0.3, 0.01, 0.03, 0.06, 0.1, 0.2, 0.5),
            "online",
            "its own package, cold start; knob: its cost penalty",
        ),
        LineupEntry(
            "virtual-queue",
            _virtual_queue,
            (0.98, 0.85, 0.9, 0.94, 1.0, 1.05),
            "online",
            "MESS+-like; knob: required accuracy as a share of the reference's",
        ),
        LineupEntry(
            "oracle", lambda inputs: Oracle(inputs.workload), (0.0,), "hindsight", "the cheapest right arm"
        ),
    )
}


def entry_named(name: str) -> LineupEntry:
    """Returns one of `LINEUP`. Raises BenchError for an unknown name."""
    if name not in LINEUP:
        raise BenchError(f"unknown policy {name!r}: use one of {', '.join(LINEUP)}")
    return LINEUP[name]
