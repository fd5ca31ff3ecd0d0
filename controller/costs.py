"""What an arm will cost: its latency and the energy that the board spends on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from controller import snapshot
from controller.arm import Arm
from controller.beliefs import Beliefs, Vector
from controller.context import DeviceState, Option
from controller.drift import DriftEvent, PageHinkley
from controller.energy import cloud_energy_j, local_energy_j
from controller.link import path_ms
from controller.outcome import Execution
from controller.roster import Roster
from controller.scales import Scales
from controller.settings import ControllerSettings

FEATURES: Final = ("one", "waiting", "cpu_load", "gpu_load", "slow_clock", "heat", "throttled")
# Two waiting requests make three turns on a server that answers one at a time: log(1 + waiting) counts once.
PRIOR_MEAN: Final = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# The board's state says nothing of another machine, so its weights are held at 0 there.
PRIOR_DEVIATION: Final[dict[str, tuple[float, ...]]] = {
    "local": (1.0, 0.3, 0.5, 0.5, 0.5, 0.3, 0.5),
    "cloud": (1.0, 0.3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3),
}
NOISE: Final = 0.2  # deviation of log-latency that nothing explains, until it is known better
OUTLIER: Final = 4.0  # deviations beyond which a residual counts no further
WIDENING: Final = 0.5
STALENESS: Final = 0.004  # variance of log(server_ms) gained with each question on which the arm was not run
STALEST: Final = 0.25
LATE: Final = 1.0  # deviations of log(server_ms)
LONGEST: Final = 16.0  # log(server_ms): two hours


class Estimate(NamedTuple):
    """What using an arm is predicted to cost, and what that was predicted from.

    Attributes:
        latency_ms, energy_j: of the whole call.
        late_ms: a latency that few calls exceed, `LATE` deviations of log(server_ms) above.
        link_ms: the link's part of it; 0 on the board.
        ignorance: deviation of the mean of log(server_ms), which trying the arm would take away.
        variance: of log(server_ms) around what is expected.
        waiting: log(1 + requests already waiting).
        path_model_ms, energy_model_j: the computed link part and energy, without what was learned of them.
        runs: of the arm that had been learned from.
    """

    arm: Arm
    latency_ms: float
    late_ms: float
    energy_j: float
    link_ms: float
    ignorance: float
    variance: float
    waiting: float
    path_model_ms: float
    energy_model_j: float
    runs: float


class Estimates(NamedTuple):
    """The estimates of several arms, column by column: every array has shape (arms,), as in `Estimate`."""

    arms: tuple[Arm, ...]
    latency_ms: Vector
    late_ms: Vector
    energy_j: Vector
    link_ms: Vector
    ignorance: Vector
    variance: Vector
    waiting: Vector
    path_model_ms: Vector
    energy_model_j: Vector
    runs: Vector

    def of(self, place: int) -> Estimate:
        """The estimate of one arm."""
        return Estimate(self.arms[place], *[column.item(place) for column in self[1:]])

    def below_ms(self, deviations: float) -> Vector:
        """Latencies that calls stay below, so many deviations of log(server_ms) above what is expected."""
        return _below_ms(self.link_ms, self.latency_ms - self.link_ms, self.variance, deviations)


class Costs:
    """Learns log(server_ms) of every arm by discounted ridge regression; the link's part is computed.

    server_ms = exp(w . features), since load, clocks and queues multiply times. When the server does not tell
    its own share, it is the whole call without the computed link part. When it does, the ratio of the true
    link part to the computed one is learned for each server. Energy is that of the power model times a
    learned ratio. A run counts for 1 / (1 + runs of its arm learned from since it was predicted), since those
    that are under way at the same time are slow together when the machine or the link pauses.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._beliefs = Beliefs(len(FEATURES), settings.forgetting.cost)
        self._noise = Scales(initial=NOISE**2, low=0.05**2, high=0.8**2)
        self._link_ratio = Scales(initial=0.0, low=-1.5, high=2.5)
        self._energy_ratio = Scales(initial=0.0, low=-2.5, high=2.5)
        self._detectors: dict[str, PageHinkley] = {}
        self._questions = 0
        self._runs: dict[str, int] = {}  # learned from, by arm
        self._learned_at: dict[str, int] = {}  # number of the question, by arm

    def predict(self, roster: Roster, options: Sequence[Option], device: DeviceState) -> Estimates:
        """Estimates for `options`, whose arms are those of `roster`."""
        names, beliefs, power = roster.ids, self._beliefs, self._settings.power
        for arm, name in zip(roster.arms, names, strict=True):
            if name not in beliefs:
                self._begin(arm, keep=names)
        # One product serves all rows: what differs between arms, the queue, is added afterwards.
        means, variances = beliefs.predictions(np.array((1.0, 0.0, *device_features(device))))
        rows = beliefs.rows(names)
        base = means[rows]
        self._questions += 1
        waiting = np.array([math.log1p(option.queue) if option.queue else 0.0 for option in options])
        server_ms = idle_ms = np.exp(np.minimum(base, LONGEST))
        if np.count_nonzero(waiting):
            server_ms = np.exp(np.minimum(base + beliefs.weights(1)[rows] * waiting, LONGEST))
        ways = [self._way(option) for option in options]
        path, sending, stretch, payload = np.array(ways).reshape(-1, 4).T
        link = stretch * path
        latency, variance = link + server_ms, self._noise.several(names)
        energy = np.where(
            roster.cloud,
            cloud_energy_j(power, latency, stretch * sending, payload),
            local_energy_j(power, idle_ms),
        )
        return Estimates(
            roster.arms,
            latency_ms=latency,
            late_ms=_below_ms(link, server_ms, variance, LATE),
            energy_j=energy * np.exp(self._energy_ratio.several(names)),
            link_ms=link,
            ignorance=np.sqrt(np.maximum(variances[rows], 0.0) + [self._stale(name) for name in names]),
            variance=variance,
            waiting=waiting,
            path_model_ms=path,
            energy_model_j=energy,
            runs=np.array([float(self._runs.get(name, 0)) for name in names]),
        )

    def learn(self, estimate: Estimate, device: DeviceState, run: Execution, now: float) -> DriftEvent | None:
        """Learn from a run that did not fail; an alarm when its server is no longer what was learned."""
        if run.latency_ms is None or estimate.arm.id not in self._beliefs:
            return None
        if not all(math.isfinite(value or 0.0) for value in (run.latency_ms, run.compute_ms, run.queue_ms)):
            return None  # one such value would stay in every later estimate
        name = estimate.arm.id
        weight = 1.0 / (1.0 + max(0.0, self._runs.get(name, 0) - estimate.runs))
        self._runs[name] = self._runs.get(name, 0) + 1
        if run.energy_j is not None and run.energy_j > 0:
            ratio = math.log(run.energy_j / max(1e-9, estimate.energy_model_j))
            self._energy_ratio.learn(name, ratio, rate=0.1 * weight)
        server_ms = run.latency_ms - estimate.link_ms
        if run.compute_ms is not None:
            server_ms = run.compute_ms + (run.queue_ms or 0.0)
            self._learn_link(estimate, run.latency_ms - server_ms, weight)
        elif server_ms <= 0:
            # The link was overrated: it took no longer than the whole call.
            self._learn_link(estimate, run.latency_ms, weight)
        server_ms = max(server_ms, 0.05 * run.latency_ms, 0.1)
        return self._learn_server(estimate, device, math.log(server_ms), weight, now)

    def snapshot(self) -> dict[str, object]:
        """Plain lists and numbers, for JSON."""
        return {
            "beliefs": self._beliefs.snapshot(),
            "noise": self._noise.snapshot(),
            "link_ratio": self._link_ratio.snapshot(),
            "energy_ratio": self._energy_ratio.snapshot(),
            "questions": self._questions,
            "learned_at": {name: self._learned_at[name] for name in self._detectors},
            "detectors": {name: detector.snapshot() for name, detector in self._detectors.items()},
        }

    def restore(self, held: object) -> None:
        """Take over a snapshot, or raise SnapshotError; to be called on a new object."""
        self._beliefs.restore(snapshot.part(held, "beliefs"))
        self._noise.restore(snapshot.part(held, "noise"))
        self._link_ratio.restore(snapshot.part(held, "link_ratio"))
        self._energy_ratio.restore(snapshot.part(held, "energy_ratio"))
        for name, kept in snapshot.table(snapshot.part(held, "detectors")).items():
            self._detector(name).restore(kept)
            self._learned_at[name] = int(snapshot.number(snapshot.part(held, "learned_at"), name))
        self._questions = int(snapshot.number(held, "questions"))

    def _begin(self, arm: Arm, keep: Sequence[str]) -> None:
        mean = np.array(PRIOR_MEAN)
        mean[0] = math.log(self._settings.prior(arm).latency_ms)
        self._beliefs.add(arm.id, mean, np.square(PRIOR_DEVIATION[arm.tier]), keep=keep)

    def _way(self, option: Option) -> tuple[float, float, float, int]:
        """The computed link part, what of it is sending, the learned ratio, and the payload."""
        if option.arm.tier == "local":
            return 0.0, 0.0, 1.0, 0
        rtt_ms, sending_ms = path_ms(option.link, option.payload_bytes, self._settings.link)
        stretch = math.exp(self._link_ratio[option.arm.server])
        return rtt_ms + sending_ms, sending_ms, stretch, option.payload_bytes

    def _learn_link(self, estimate: Estimate, link_ms: float, weight: float) -> None:
        if estimate.path_model_ms > 0 and link_ms > 0:
            ratio = math.log(link_ms / estimate.path_model_ms)
            self._link_ratio.learn(estimate.arm.server, ratio, rate=0.1 * weight)

    def _learn_server(
        self, estimate: Estimate, device: DeviceState, log_server_ms: float, weight: float, now: float
    ) -> DriftEvent | None:
        name = estimate.arm.id
        x = np.array((1.0, estimate.waiting, *device_features(device)))
        residual = log_server_ms - float(self._beliefs.mean(name) @ x)
        wandered = self._stale(name)
        self._beliefs.drift(name, 0, wandered)
        self._learned_at[name] = self._questions
        variance = self._noise[name]
        deviation = math.sqrt(variance + wandered)
        bounded = max(-OUTLIER * deviation, min(OUTLIER * deviation, residual))
        self._beliefs.observe(name, x, bounded, weight / variance)
        self._noise.learn(name, bounded * bounded * variance / (variance + wandered), rate=0.03 * weight)
        direction = self._detector(name).test(weight * bounded / deviation)
        if direction is None:
            return None
        self._beliefs.widen(name, WIDENING)
        return DriftEvent("latency", name, direction, now)

    def _stale(self, name: str) -> float:
        """Variance gained since the arm was last run."""
        unused = self._questions - self._learned_at.get(name, self._questions)
        return min(STALEST, STALENESS * max(0, unused))

    def _detector(self, name: str) -> PageHinkley:
        if name not in self._detectors:
            if len(self._detectors) >= 64:
                oldest = next(iter(self._detectors))
                for held in (self._learned_at, self._runs, self._detectors):
                    held.pop(oldest, None)
            self._detectors[name] = PageHinkley(
                slack=0.5, threshold=8.0 * self._settings.learning.alarm_patience, clip=OUTLIER
            )
        return self._detectors[name]


def device_features(device: DeviceState) -> tuple[float, float, float, float, float]:
    """What may slow the board down, each 0 where it is not measured or not finite."""
    cpu, gpu, clock, temp_c = (
        value if value is not None and math.isfinite(value) else None
        for value in (device.cpu_load, device.gpu_load, device.clock_ratio, device.temp_c)
    )
    return (
        _within(cpu or 0.0, 0.0, 1.0),
        _within(gpu or 0.0, 0.0, 1.0),
        0.0 if clock is None else -math.log(_within(clock, 0.1, 1.0)),
        0.0 if temp_c is None else _within((temp_c - 50.0) / 50.0, -1.0, 1.0),
        1.0 if device.throttled else 0.0,
    )


def _below_ms(link_ms: Vector, server_ms: Vector, variance: Vector, deviations: float) -> Vector:
    return link_ms + server_ms * np.exp(deviations * np.sqrt(variance))


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
