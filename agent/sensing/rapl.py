"""Power of the processor package, from its energy counters (RAPL) through the kernel's powercap interface.

The counters are in microjoules and wrap around at max_energy_range_uj; see
Documentation/power/powercap/powercap.rst in the kernel. The counters of the packages are read, and the
counter of the whole platform (psys) where the machine has one; psys includes the packages. RAPL does not
measure the disk or the network card. The power of NVIDIA cards is added, unless psys has it already.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from agent.sensing.files import folders, number, text
from agent.sensing.nvidia import NvidiaCards
from agent.sensing.sample import Sample, SensorAbsent, SensorFault

PLATFORM = "psys"
MIN_INTERVAL_S = 1e-3  # the counters are updated about every millisecond


class Rapl:
    """Mean power since the last sample; the first sample has no power.

    Args:
        cards: the NVIDIA cards of the PC.
        clock: monotonic time in seconds.
    """

    name = "rapl"

    def __init__(
        self,
        *,
        sysfs: Path = Path("/sys"),
        cards: NvidiaCards | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cards = cards
        self._powercap = sysfs / "class" / "powercap"
        self._clock = clock
        self._read_at = 0.0
        self._counters_j: dict[str, float] = {}
        self._power_w: dict[str, float] = {}

    def sample(self) -> Sample:
        """Reads the mean power of each domain since the last sample."""
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
                    f"{zone}/energy_uj cannot be read, only root may: at every boot run "
                    f"`chgrp inarvl {zone}/energy_uj; chmod g+r {zone}/energy_uj`"
                )
            counters_j[name] = microjoules / 1e6
        elapsed_s = now - self._read_at
        if counters_j.keys() == self._counters_j.keys() and elapsed_s >= MIN_INTERVAL_S:
            self._power_w = {
                name: self._used_j(name, domains[name], counters_j[name]) / elapsed_s for name in counters_j
            }
        elif counters_j.keys() == self._counters_j.keys():
            return self._last_sample()
        self._counters_j, self._read_at = counters_j, now
        return self._last_sample()

    def close(self) -> None:
        """Does nothing: no resources are kept."""

    def _used_j(self, name: str, zone: Path, counter_j: float) -> float:
        used_j = counter_j - self._counters_j[name]
        if used_j < 0:
            used_j += (number(zone / "max_energy_range_uj") or 0.0) / 1e6
        return max(0.0, used_j)

    def _last_sample(self) -> Sample:
        if not self._power_w:
            return Sample()
        platform_w = self._power_w.get(PLATFORM)
        cards = {} if self._cards is None else self._cards.read()
        cards_w = {name: card.power_w for name, card in cards.items() if card.power_w is not None}
        rails_w = {**self._power_w, **cards_w}
        total_w = sum(rails_w.values()) if platform_w is None else platform_w
        if platform_w is None and len(cards_w) < len(cards):
            return Sample(rails_w=rails_w)  # a card whose power is unknown is not without power
        return Sample(power_w=total_w, rails_w=rails_w)
