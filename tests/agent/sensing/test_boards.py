"""Every source reads the files of each board it knows, and says what to do when it cannot."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensing.battery import Battery
from agent.sensing.ina import Ina
from agent.sensing.processor import Processor
from agent.sensing.rapl import Rapl
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.tegra import Tegra
from agent.sensing.thermal import Thermal

Plant = Callable[[str], Path]


def set_to(path: Path, content: object) -> None:
    path.write_text(f"{content}\n")


@pytest.mark.parametrize(
    ("board", "power_w", "rails"),
    [
        ("orin-nano-8gb", 4.984 * 1.12, {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}),
        ("xavier-nx", 5.032 * 0.9, {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}),
        (
            "agx-orin-64gb",
            19.832 * 0.2 + 19.84 * 0.06 + 4.968 * 0.8 + 4.968 * 0.08,
            {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"},
        ),
        ("thor", 23.0, {"VIN", "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"}),
    ],
)
def test_the_power_of_a_jetson_is_that_of_its_rails(
    plant: Plant, board: str, power_w: float, rails: set[str]
) -> None:
    sample = Ina(sysfs=plant(board) / "sys").sample()
    assert sample.power_w == pytest.approx(power_w)
    assert set(sample.rails_w) == rails


def test_a_profile_may_name_the_rails_that_are_the_board(plant: Plant) -> None:
    sysfs = plant("agx-orin-64gb") / "sys"
    wanted = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert Ina(wanted, sysfs=sysfs).sample().power_w == pytest.approx(
        19.832 * 0.2 + 19.84 * 0.06 + 4.968 * 0.8
    )
    assert Ina(("VDD_IN",), sysfs=sysfs).sample().power_w is None


def test_a_rail_that_cannot_be_read_for_a_while_does_not_make_the_board_cheaper(plant: Plant) -> None:
    sysfs = plant("agx-orin-64gb") / "sys"
    ina, file = Ina(sysfs=sysfs), sysfs / "class" / "hwmon" / "hwmon3" / "curr1_input"
    whole_w = ina.sample().power_w
    file.unlink()
    file.mkdir()  # reading it fails, as with EIO
    sample = ina.sample()
    assert sample.power_w is None
    assert "VDD_CPU_CV" in sample.rails_w
    file.rmdir()
    set_to(file, 200)
    assert ina.sample().power_w == whole_w


def test_a_monitor_that_vanishes_is_told_and_found_again(plant: Plant) -> None:
    root = plant("xavier-nx")
    ina, hwmon = Ina(sysfs=root / "sys"), root / "sys" / "class" / "hwmon"
    ina.sample()
    shutil.move(hwmon / "hwmon2", root / "gone")
    with pytest.raises(SensorFault, match="dmesg"):
        ina.sample()
    with pytest.raises(SensorAbsent):
        ina.sample()
    shutil.move(root / "gone", hwmon / "hwmon7")
    assert ina.sample().power_w == pytest.approx(5.032 * 0.9)


@pytest.mark.parametrize(
    ("board", "hottest", "throttled"),
    [
        ("orin-nano-8gb", ("tj-thermal", 49.468), False),
        ("agx-orin-64gb", ("CPU-therm", 52.0), True),
        ("xavier-nx", ("CPU-therm", 43.5), None),
        ("thor", ("tj-thermal", 55.1), False),
        ("raspberry-pi-5", ("cpu-thermal", 81.5), True),
        ("laptop-x86", ("coretemp Package id 0", 61.0), None),
    ],
)
def test_heat_and_throttling_are_told_as_the_board_tells_them(
    plant: Plant, board: str, hottest: tuple[str, float], throttled: bool | None
) -> None:
    sample = Thermal(sysfs=plant(board) / "sys").sample()
    assert max(sample.temps_c.items(), key=lambda zone: zone[1]) == (hottest[0], pytest.approx(hottest[1]))
    assert sample.throttled is throttled


def test_a_warm_surface_or_a_turning_fan_is_no_throttling(plant: Plant) -> None:
    root = plant("orin-nano-8gb")
    thermal = root / "sys" / "class" / "thermal"
    assert Thermal(sysfs=root / "sys").sample().throttled is False
    set_to(thermal / "cooling_device0" / "cur_state", 3)
    assert Thermal(sysfs=root / "sys").sample().throttled is True


@pytest.mark.parametrize(
    ("board", "load", "clock", "mode"),
    [
        ("orin-nano-8gb", 0.372, 1.0, "15W"),
        ("agx-orin-64gb", 0.0, 0.5, "3"),
        ("xavier-nx", 1.0, 803.25 / 1109.25, "MODE_15W_6CORE"),
        ("thor", None, 1.0, "120W"),
    ],
)
def test_the_gpu_and_the_power_mode_of_a_jetson(
    plant: Plant, board: str, load: float | None, clock: float, mode: str
) -> None:
    sample = Tegra(root=plant(board)).sample()
    assert sample.gpu_load == load
    assert sample.gpu_clock_ratio == pytest.approx(clock)
    assert sample.power_mode == mode


def test_what_is_no_jetson_has_none(plant: Plant) -> None:
    with pytest.raises(SensorAbsent):
        Tegra(root=plant("laptop-x86")).sample()


def test_clocks_count_by_what_they_may_reach_not_by_what_an_idle_core_runs_at(plant: Plant) -> None:
    assert Processor(proc=Path("/proc"), sysfs=plant("laptop-x86") / "sys").sample().clock_ratio == 0.5
    assert Processor(proc=Path("/proc"), sysfs=plant("orin-nano-8gb") / "sys").sample().clock_ratio == 1.0


def test_load_is_of_the_time_between_samples(plant: Plant) -> None:
    root = plant("virtual-machine")
    processor, stat = Processor(proc=root / "proc", sysfs=root / "sys"), root / "proc" / "stat"
    set_to(stat, "cpu 100 0 100 800 0 0 0 0 0 0")
    assert processor.sample().cpu_load is None
    set_to(stat, "cpu 130 0 120 845 5 0 0 0 0 0")  # 50 busy, 45 idle, 5 waiting for a disk
    assert processor.sample().cpu_load == pytest.approx(0.5)
    assert processor.sample().cpu_load is None, "no time has passed"


def test_memory_and_pressure_are_what_the_kernel_says(plant: Plant) -> None:
    root = plant("virtual-machine")
    set_to(root / "proc" / "meminfo", "MemTotal: 8000 kB\nMemAvailable: 2048 kB")
    set_to(root / "proc" / "pressure" / "memory", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1")
    sample = Processor(proc=root / "proc", sysfs=root / "sys").sample()
    assert sample.memory_available_mb == 2.0
    assert sample.memory_pressure == pytest.approx(0.125)


def test_a_processor_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SensorFault, match="mount proc"):
        Processor(proc=tmp_path, sysfs=tmp_path).sample()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_power_of_a_package_is_its_energy_over_time(plant: Plant) -> None:
    sysfs, clock = plant("laptop-x86") / "sys", Clock()
    rapl, counter = (
        Rapl(sysfs=sysfs, clock=clock),
        sysfs / "class" / "powercap" / "intel-rapl:0" / "energy_uj",
    )
    assert rapl.sample() == Sample()
    clock.now += 2.0
    set_to(counter, 31_000_000)
    assert rapl.sample().power_w == pytest.approx(15.0)
    assert rapl.sample().power_w == pytest.approx(15.0), "too soon to say anything new"


def test_a_counter_that_wraps_around_goes_on(plant: Plant) -> None:
    sysfs, clock = plant("laptop-x86") / "sys", Clock()
    rapl, zone = Rapl(sysfs=sysfs, clock=clock), sysfs / "class" / "powercap" / "intel-rapl:0"
    set_to(zone / "energy_uj", 262143328850 - 5_000_000)
    rapl.sample()
    clock.now += 1.0
    set_to(zone / "energy_uj", 3_000_000)
    assert rapl.sample().power_w == pytest.approx(8.0)


def test_a_counter_that_is_roots_alone_says_how_to_share_it(plant: Plant) -> None:
    sysfs = plant("laptop-x86") / "sys"
    counter = sysfs / "class" / "powercap" / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    counter.mkdir()
    with pytest.raises(SensorFault, match="chgrp"):
        Rapl(sysfs=sysfs).sample()


Told = namedtuple("Told", "percent power_plugged")


def test_a_battery_tells_its_charge_and_whether_it_feeds_the_board() -> None:
    sample = Battery(lambda: Told(41, False)).sample()
    assert (sample.battery_pct, sample.on_battery) == (41, True)
    assert Battery(lambda: Told(100.7, None)).sample() == Sample(battery_pct=100)


def test_no_battery_is_no_fault() -> None:
    with pytest.raises(SensorAbsent):
        Battery(lambda: None).sample()


@pytest.mark.parametrize("source", [Ina, Rapl, Thermal])
def test_an_empty_machine_has_nothing_and_nothing_is_wrong(
    source: type[Ina] | type[Rapl] | type[Thermal], tmp_path: Path
) -> None:
    with pytest.raises(SensorAbsent):
        source(sysfs=tmp_path).sample()
