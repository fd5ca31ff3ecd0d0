"""The kernel's lists of CPUs."""

from __future__ import annotations

import re

MAX_CPUS = 8192  # the most that Linux supports
PART = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def cpu_list(text: str) -> frozenset[int]:
    """Returns the CPUs in a list of the kernel such as `0-3,6`; none if it is not such a list."""
    cpus: set[int] = set()
    for part in text.split(","):
        found = PART.fullmatch(part.strip())
        if found is None or int(found[2] or found[1]) >= MAX_CPUS:
            return frozenset()
        cpus |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return frozenset(cpus)
