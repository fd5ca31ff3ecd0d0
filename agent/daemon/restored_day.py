"""Restores the counts of the day after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.daemon.store import Store
from agent.spending.day_counts import DayCounts


def restore_day(counts: DayCounts, store: Store) -> bool:
    """Restores the counts of the last run; returns False if its files are damaged, so that they are lost."""
    restored = False

    def accept(content: Mapping[str, Any]) -> None:
        nonlocal restored
        counts.restore(content)
        restored = True

    damaged = store.load(accept)
    if damaged and not restored:
        counts.lose()
        return False
    return True
