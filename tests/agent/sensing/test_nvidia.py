"""Power, load and temperature of NVIDIA cards belong to the PC; the driver's library is made for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensing.nvidia import Nvidia, NvidiaCards
from agent.sensing.rapl import Rapl
from agent.sensing.sample import SensorAbsent, SensorFault
from agent.sensing.thermal import Thermal

# Two cards: the second does not report its power.
SOURCE = """
typedef struct { unsigned int gpu, memory; } utilization;
int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = COUNT; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **card) { *card = (void *)(i + 1L); return 0; }
int nvmlDeviceGetPowerUsage(void *card, unsigned int *mw) { *mw = 87500; return card == (void *)1 ? 0 : 3; }
int nvmlDeviceGetUtilizationRates(void *card, utilization *use) { use->gpu = 40 * (long)card; return 0; }
int nvmlDeviceGetTemperature(void *card, unsigned kind, unsigned *c) { *c = 60 + (long)card; return kind; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *card, unsigned long long *why) { *why = WHY; return 0; }
"""


@pytest.fixture
def cards(tmp_path: Path) -> Callable[..., NvidiaCards]:
    """Returns a function that creates a PC with cards under tmp_path."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, for a library in place of the driver's")
    device = tmp_path / "sys" / "bus" / "pci" / "devices" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030000\n")

    def create(*, count: int = 1, init: int = 0, why: int = 0) -> NvidiaCards:
        library = tmp_path / "libnvidia-ml.so.1"
        (tmp_path / "nvml.c").write_text(SOURCE)
        macros = [f"-DCOUNT={count}", f"-DINIT={init}", f"-DWHY={why}"]
        source = str(tmp_path / "nvml.c")
        subprocess.run([compiler, "-shared", "-fPIC", *macros, "-o", str(library), source], check=True)
        return NvidiaCards(root=tmp_path, load=lambda _name: ctypes.CDLL(str(library)), clock=lambda: 1.0)

    return create


def counters(root: Path, *zones: str) -> Path:
    for number, name in enumerate(zones):
        zone = root / "sys" / "class" / "powercap" / f"intel-rapl:{number}"
        zone.mkdir(parents=True)
        (zone / "name").write_text(f"{name}\n")
        (zone / "energy_uj").write_text("0\n")
    return root / "sys"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def second_sample(rapl: Rapl, sysfs: Path) -> tuple[float | None, dict[str, float]]:
    rapl.sample()
    for zone in (sysfs / "class" / "powercap").glob("*"):
        (zone / "energy_uj").write_text("12000000\n")
    sample = rapl.sample()
    return sample.power_w, dict(sample.rails_w)


def test_the_power_of_a_card_is_added_to_that_of_the_processor(
    cards: Callable[..., NvidiaCards], tmp_path: Path
) -> None:
    sysfs = counters(tmp_path, "package-0")
    power_w, rails_w = second_sample(Rapl(sysfs=sysfs, cards=cards(), clock=Clock()), sysfs)
    assert (power_w, rails_w) == (99.5, {"package-0": 12.0, "nvidia0": 87.5})


def test_the_counter_of_the_whole_platform_has_the_card_already(
    cards: Callable[..., NvidiaCards], tmp_path: Path
) -> None:
    sysfs = counters(tmp_path, "psys")
    assert second_sample(Rapl(sysfs=sysfs, cards=cards(), clock=Clock()), sysfs)[0] == 12.0


def test_a_card_without_a_reading_of_its_power_leaves_the_total_unknown(
    cards: Callable[..., NvidiaCards], tmp_path: Path
) -> None:
    sysfs = counters(tmp_path, "package-0")
    power_w, rails_w = second_sample(Rapl(sysfs=sysfs, cards=cards(count=2), clock=Clock()), sysfs)
    assert (power_w, set(rails_w)) == (None, {"package-0", "nvidia0"})


def test_the_load_is_that_of_the_busiest_card(cards: Callable[..., NvidiaCards]) -> None:
    sensor = Nvidia(cards(count=2))
    assert sensor.sample().gpu_load == 0.8
    sensor.close()
    assert sensor.sample().gpu_load == 0.8


@pytest.mark.parametrize(("why", "throttled"), [(0x0, False), (0x4, False), (0x40, True), (0x8, True)])
def test_a_hot_card_counts_as_the_board_and_its_power_limit_is_no_throttling(
    cards: Callable[..., NvidiaCards], tmp_path: Path, why: int, throttled: bool
) -> None:
    zone = tmp_path / "sys" / "class" / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("50000\n")
    sample = Thermal(sysfs=tmp_path / "sys", cards=cards(why=why)).sample()
    assert sample.temps_c == {"x86_pkg_temp": 50.0, "nvidia0": 61.0}
    assert sample.throttled is throttled


def test_a_driver_that_cannot_be_used_is_a_fault_with_what_to_do(
    cards: Callable[..., NvidiaCards], tmp_path: Path
) -> None:
    with pytest.raises(SensorFault, match=r"error 9.*nvidia-smi"):
        Nvidia(cards(init=9)).sample()

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    with pytest.raises(SensorFault, match="install the NVIDIA driver"):
        Nvidia(NvidiaCards(root=tmp_path, load=missing)).sample()


def test_the_library_is_not_loaded_without_a_card_or_on_a_jetson(
    cards: Callable[..., NvidiaCards], tmp_path: Path
) -> None:
    def loaded(_name: str) -> ctypes.CDLL:
        raise AssertionError("must not be loaded")

    with pytest.raises(SensorAbsent):
        Nvidia(NvidiaCards(root=tmp_path / "other", load=loaded)).sample()
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "proc" / "device-tree" / "compatible").write_bytes(b"nvidia,p2888-0004\0nvidia,tegra194\0")
    with pytest.raises(SensorAbsent):
        Nvidia(NvidiaCards(root=tmp_path, load=loaded)).sample()
