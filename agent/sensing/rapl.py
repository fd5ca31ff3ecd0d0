"""Power from the energy counters of the processor package (RAPL), as the kernel's powercap shows them.

Microjoules that wrap around at max_energy_range_uj; see Documentation/power/powercap/powercap.rst of the
kernel. The counters of the packages and, where there is one, of the whole platform (psys) are read; psys
holds the packages. RAPL sees neither the disk nor the network card.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.sample import Sample, SensorAbsent, SensorFault

WHOLE = "psys"
LEAST_S = 1e-3  # the counters move about every millisecond


class Rapl:
    """Mean power since the last sample; the first one gives none.

    Args:
        clock: seconds, monotonic.
    """

    name = "rapl"

    def __init__(self, *, sysfs: Path = Path("/sys"), clock: Callable[[], float] = time.monotonic) -> None:
        self._powercap = sysfs / "class" / "powercap"
        self._clock = clock
        self._read_at = 0.0
        self._counters_j: dict[str, float] = {}
        self._power_w: dict[str, float] = {}

    def sample(self) -> Sample:
        """Mean power of each domain since the last sample."""
        domains = {
            text(zone / "name") or zone.name: zone
            for zone in folders(self._powercap, "*-rapl:*")
            if zone.name.count(":") == 1
        }
        if not domains:
            raise SensorAbsent(f"no RAPL domain under {self._powercap}")
        now = self._clock()
        counters_j = {}
        for name, zone in domains.items():
            microjoules = number(zone / "energy_uj")
            if microjoules is None:
                raise SensorFault(
                    f"{zone}/energy_uj cannot be read, since it is root's: "
                    f"`chgrp inarvl {zone}/energy_uj; chmod g+r {zone}/energy_uj` at every boot"
                )
            counters_j[name] = microjoules / 1e6
        elapsed_s = now - self._read_at
        if counters_j.keys() == self._counters_j.keys() and elapsed_s >= LEAST_S:
            self._power_w = {
                name: self._spent_j(name, domains[name], counters_j[name]) / elapsed_s for name in counters_j
            }
        elif counters_j.keys() == self._counters_j.keys():
            return self._told()
        self._counters_j, self._read_at = counters_j, now
        return self._told()

    def close(self) -> None:
        """Nothing is held."""

    def _spent_j(self, name: str, zone: Path, counter_j: float) -> float:
        spent_j = counter_j - self._counters_j[name]
        if spent_j < 0:
            spent_j += (number(zone / "max_energy_range_uj") or 0.0) / 1e6
        return max(0.0, spent_j)

    def _told(self) -> Sample:
        if not self._power_w:
            return Sample()
        whole_w = self._power_w.get(WHOLE)
        return Sample(
            power_w=sum(self._power_w.values()) if whole_w is None else whole_w, rails_w=self._power_w
        )
