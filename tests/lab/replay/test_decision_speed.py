"""What is timed is what runs; how fast it is, no test says."""

import pytest

from constructed import constructed_trace
from lab.replay.decision_speed import measure
from lab.replay.lineup import entry_named
from lab.replay.policy_inputs import Setting
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import prepare
from lab.sim.drift_scripts import STEADY
from lab.sim.workload import Stream


def test_both_are_timed_with_all_arms() -> None:
    dataset = prepare(constructed_trace(300), JETSON_WAN)
    stream = Stream(dataset.half("report"), JETSON_WAN, STEADY, count=60, seed=0)
    setting = Setting(dataset.half("tune"), JETSON_WAN, stream, 0, 0.98)
    ours, rival = measure(entry_named("inarvl").make(setting), setting)
    for speed in (ours, rival):
        assert speed.decide_us > 0
        assert speed.total_us == pytest.approx(speed.decide_us + speed.learn_us)
    assert (ours.policy, rival.policy) == ("inarvl", "paretobandit")
