"""Keeps the counts of the day across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.daemon.store import Store
from agent.reporting.events import Events
from agent.spending.day_counts import DayCounts


def restore_day(counts: DayCounts, store: Store, events: Events, *, code: str, lost: str) -> None:
    """Restores the counts of the last run; if its files are damaged, those of today are lost.

    Args:
        code, lost: of the error that is then published.
    """
    restored = False

    def accept(content: Mapping[str, Any]) -> None:
        nonlocal restored
        counts.restore(content)
        restored = True

    if store.load(accept) and not restored:
        counts.lose()
        events.error(code, lost)
