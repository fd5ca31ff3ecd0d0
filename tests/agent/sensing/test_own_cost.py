"""The agent's own cost is counted per question since its start."""

from __future__ import annotations

from agent.sensing.own_cost import OwnCost, OwnCostMeter


def test_the_cost_is_that_since_the_start_per_question() -> None:
    answered, cpu_s = [70], [3.0]
    meter = OwnCostMeter(2.0, lambda: answered[0], lambda: cpu_s[0])
    meter.start()
    cpu_s[0] = 3.5
    assert meter.cost() == OwnCost(0, 0.5, None, None)
    answered[0], cpu_s[0] = 80, 4.0
    assert meter.cost() == OwnCost(10, 1.0, 100.0, 0.2, "modelled")
