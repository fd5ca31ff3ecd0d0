"""The time measurement runs both policies; no test checks how fast they are."""

import pytest

from constructed import constructed_trace
from lab.replay.decision_speed import measure_speed
from lab.replay.lineup import entry_named
from lab.replay.policy_inputs import PolicyInputs
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import prepare
from lab.sim.drift_scripts import STEADY
from lab.sim.workload import Workload


def test_both_policies_are_timed() -> None:
    dataset = prepare(constructed_trace(300), JETSON_WAN)
    workload = Workload(dataset.half("report"), JETSON_WAN, STEADY, count=60, seed=0)
    inputs = PolicyInputs(dataset.half("tune"), JETSON_WAN, workload, 0, 0.98)
    ours, rival = measure_speed(entry_named("inarvl").make(inputs), inputs)
    for speed in (ours, rival):
        assert speed.decide_us > 0
        assert speed.total_us == pytest.approx(speed.decide_us + speed.learn_us)
    assert (ours.policy, rival.policy) == ("inarvl", "paretobandit")
