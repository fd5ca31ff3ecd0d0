"""The kernel's lists of CPUs."""

from __future__ import annotations


def cpu_list(text: str) -> frozenset[int]:
    """Returns the CPUs in a list of the kernel such as `0-3,6`; none if it is not such a list."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return frozenset()
        cpus |= set(range(int(first), int(last or first) + 1))
    return frozenset(cpus)
