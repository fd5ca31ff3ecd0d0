"""The oracle: an upper bound that knows every arm's answer in advance."""

from __future__ import annotations

from controller import Arm, Context
from lab.policies.rival import Choice, Rival
from lab.sim.workload import Workload


class Oracle(Rival):
    """Chooses the cheapest arm that is right, or the cheapest arm if none is right.

    Costs are those of an idle board and cloud with the link's true state; queues are not included.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self._workload = workload
        self._columns = {arm: column for column, arm in enumerate(workload.dataset.arms)}

    def knows(self, arm: Arm) -> bool:
        """Every arm."""
        return True

    def choose(self, number: int, context: Context, available: list[Arm]) -> Choice:
        """Chooses the cheapest right arm."""
        now = self._workload.arrivals[number]
        costs = {arm: self._cost(number, arm, now) for arm in available}
        right = [arm for arm in available if self._workload.answer(number, self._columns[arm], now)[1]]
        return Choice(number, min(right or available, key=lambda arm: costs[arm]))

    def _cost(self, number: int, arm: Arm, now: float) -> float:
        workload, column = self._workload, self._columns[arm]
        profile, conditions = workload.profile, workload.conditions(now)
        compute_ms = workload.compute_ms[number][column]
        if arm.tier == "local":
            latency_ms = compute_ms / conditions.clock / (1.0 - conditions.other_gpu)
            energy_j = profile.power.computing_w * latency_ms / 1e3
        else:
            payload = workload.payload_bytes[number][column]
            latency_ms = compute_ms * conditions.cloud_slow + sum(workload.true_path(now, payload))
            energy_j = profile.power.waiting_w * latency_ms / 1e3
        return profile.cost(latency_ms=latency_ms, energy_j=energy_j, calls=arm.tier == "cloud")
