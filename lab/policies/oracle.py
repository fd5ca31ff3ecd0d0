"""The bound that nobody reaches: it knows what every arm would answer."""

from __future__ import annotations

from controller import Arm, Context
from controller.rule import weighted
from lab.policies.rival import Choice, Static
from lab.sim.workload import Stream


class Oracle(Static):
    """For each question the cheapest arm that is right, or if none is, the cheapest.

    Costs are those of an idle board and cloud at the link's true state; queues it cannot know are left out.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._columns = {arm: column for column, arm in enumerate(stream.dataset.arms)}

    def choose(self, number: int, context: Context, able: list[Arm]) -> Choice:
        """The cheapest right arm."""
        now = self._stream.arrivals[number]
        costs = {arm: self._cost(number, arm, now) for arm in able}
        right = [arm for arm in able if self._stream.answer(number, self._columns[arm], now)[1]]
        return Choice(number, min(right or able, key=lambda arm: costs[arm]))

    def _cost(self, number: int, arm: Arm, now: float) -> float:
        stream, column = self._stream, self._columns[arm]
        profile, conditions = stream.profile, stream.conditions(now)
        compute_ms = stream.compute_ms[number][column]
        if arm.tier == "local":
            latency_ms = compute_ms / conditions.clock / (1.0 - conditions.other_gpu)
            energy_j = profile.power.computing_w * latency_ms / 1e3
        else:
            payload = stream.payload_bytes[number][column]
            latency_ms = compute_ms + sum(stream.true_path(now, payload))
            energy_j = profile.power.waiting_w * latency_ms / 1e3
        return weighted(profile.weights, latency_ms=latency_ms, energy_j=energy_j, calls=arm.tier == "cloud")
