"""Times are compared only within one boot."""

from __future__ import annotations

import json

from agent.intake.uptime import Uptime


def test_it_increases_and_is_unchanged_by_json() -> None:
    earlier = Uptime.now()
    assert earlier is not None
    assert Uptime.from_json(json.loads(json.dumps(earlier.to_json()))) == earlier
    later = Uptime.now()
    assert later is not None
    passed_ms = later.since_ms(earlier)
    assert passed_ms is not None
    assert passed_ms >= 0


def test_times_of_another_boot_and_invalid_values_are_none() -> None:
    now = Uptime("boot", 100)
    assert now.since_ms(Uptime("boot", 40)) == 60
    assert now.since_ms(Uptime("another", 40)) is None
    assert now.since_ms(Uptime("boot", 140)) is None
    assert now.since_ms(None) is None
    for value in (None, 3, [], {"boot": "boot"}, {"boot": 1, "ms": 2}, {"boot": "boot", "ms": "2"}):
        assert Uptime.from_json(value) is None
