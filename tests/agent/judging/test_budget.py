"""A budget allows what has been filled in, and recovers with time."""

from agent.judging.budget import Budget


def test_a_use_may_exceed_the_level_and_later_ones_wait() -> None:
    now = [0.0]
    budget = Budget(per_s=1.0, capacity=10.0, clock=lambda: now[0])
    assert budget.allows()
    budget.spend(25.0)
    now[0] = 15.0
    assert not budget.allows()
    now[0] = 15.5
    assert budget.allows()
    now[0] = 1e6
    assert budget.allows()
    budget.spend(10.0)
    assert not budget.allows()
