"""NVIDIA graphics cards of a PC, from the driver's library (NVML), which `nvidia-smi` reads too.

A card is not in the processor's energy counters: without it, the power of a PC that answers with its card
would be that of an idle processor. On a Jetson the library knows almost nothing, and is not asked. See the
NVML API reference of NVIDIA.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.profile.identity import BoardIdentity
from agent.sensing.sample import Sample, SensorAbsent, SensorFault

LIBRARY = "libnvidia-ml.so.1"
SUCCESS, TEMPERATURE_OF_GPU = 0, 0
# Reasons for a lower clock other than a power limit: slowdown by hardware, heat (two kinds), power brake.
THROTTLE_REASONS = 0x08 | 0x20 | 0x40 | 0x80
SAME_READING_S = 0.05  # several sensors use one reading


@dataclass(frozen=True)
class Card:
    """What one card reports; None if it does not."""

    power_w: float | None
    load: float | None
    temp_c: float | None
    throttled: bool | None


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class NvidiaCards:
    """All NVIDIA cards of the machine.

    Args:
        load: loads the driver's library.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        load: Callable[[str], ctypes.CDLL] = ctypes.CDLL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        identity = BoardIdentity.here(root)
        self.present = "nvidia" in identity.gpus and not identity.is_jetson
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()  # each sensor is sampled in a thread of its own
        self._library: ctypes.CDLL | None = None
        self._read_at = 0.0
        self._cards: dict[str, Card] = {}

    def read(self) -> dict[str, Card]:
        """Returns the readings of each card, by its name.

        Raises:
            SensorFault: the driver or its library cannot be used.
        """
        if not self.present:
            return {}
        with self._lock:
            return self._read()

    def _read(self) -> dict[str, Card]:
        now = self._clock()
        if self._cards and now - self._read_at < SAME_READING_S:
            return self._cards
        library = self._started()
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != SUCCESS:
            self.close()
            raise SensorFault("the NVIDIA driver does not answer: see `nvidia-smi`")
        self._cards = {f"nvidia{number}": self._card(library, number) for number in range(count.value)}
        self._read_at = now
        return self._cards

    def close(self) -> None:
        """Releases the library."""
        library, self._library = self._library, None
        if library is not None:
            library.nvmlShutdown()

    def _started(self) -> ctypes.CDLL:
        if self._library is None:
            try:
                library = self._load(LIBRARY)
            except OSError:
                raise SensorFault(f"{LIBRARY} is missing: install the NVIDIA driver") from None
            error = library.nvmlInit_v2()
            if error != SUCCESS:
                raise SensorFault(
                    f"the NVIDIA driver cannot be used (error {error}): see `nvidia-smi`; a systemd service "
                    "needs `PrivateDevices=no` to see the card (`systemctl edit inarvl-agent`)"
                )
            self._library = library
        return self._library

    def _card(self, library: ctypes.CDLL, number: int) -> Card:
        card = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(card)) != SUCCESS:
            return Card(None, None, None, None)
        milliwatts, degrees, use = ctypes.c_uint(), ctypes.c_uint(), _Utilization()
        reasons = ctypes.c_ulonglong()
        has_power = library.nvmlDeviceGetPowerUsage(card, ctypes.byref(milliwatts)) == SUCCESS
        has_use = library.nvmlDeviceGetUtilizationRates(card, ctypes.byref(use)) == SUCCESS
        sensor = ctypes.c_uint(TEMPERATURE_OF_GPU)
        has_temp = library.nvmlDeviceGetTemperature(card, sensor, ctypes.byref(degrees)) == SUCCESS
        ask_reasons = library.nvmlDeviceGetCurrentClocksThrottleReasons
        has_reasons = ask_reasons(card, ctypes.byref(reasons)) == SUCCESS
        return Card(
            milliwatts.value / 1e3 if has_power else None,
            min(1.0, use.gpu / 100.0) if has_use else None,
            float(degrees.value) if has_temp else None,
            bool(reasons.value & THROTTLE_REASONS) if has_reasons else None,
        )


class Nvidia:
    """Load of the NVIDIA cards, the highest of them. Their power and temperature are with those of the PC."""

    name = "nvidia"

    def __init__(self, cards: NvidiaCards) -> None:
        self._cards = cards

    def sample(self) -> Sample:
        """Reads the load of every card."""
        if not self._cards.present:
            raise SensorAbsent("no NVIDIA graphics card")
        loads = [card.load for card in self._cards.read().values() if card.load is not None]
        return Sample(gpu_load=max(loads, default=None))

    def close(self) -> None:
        """Releases the driver's library."""
        self._cards.close()
