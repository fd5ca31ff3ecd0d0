"""Every sensor reads the files of the boards that it supports, and its errors say what to do."""

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


def write(path: Path, content: object) -> None:
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
def test_the_power_of_a_jetson_is_read_from_its_rails(
    plant: Plant, board: str, power_w: float, rails: set[str]
) -> None:
    sample = Ina(sysfs=plant(board) / "sys").sample()
    assert sample.power_w == pytest.approx(power_w)
    assert set(sample.rails_w) == rails


def test_a_profile_may_name_the_rails_to_add_up(plant: Plant) -> None:
    sysfs = plant("agx-orin-64gb") / "sys"
    rails = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert Ina(rails, sysfs=sysfs).sample().power_w == pytest.approx(
        19.832 * 0.2 + 19.84 * 0.06 + 4.968 * 0.8
    )
    assert Ina(("VDD_IN",), sysfs=sysfs).sample().power_w is None


def test_no_total_is_reported_while_one_rail_cannot_be_read(plant: Plant) -> None:
    sysfs = plant("agx-orin-64gb") / "sys"
    ina, file = Ina(sysfs=sysfs), sysfs / "class" / "hwmon" / "hwmon3" / "curr1_input"
    total_w = ina.sample().power_w
    file.unlink()
    file.mkdir()  # reading it fails, as with EIO
    sample = ina.sample()
    assert sample.power_w is None
    assert "VDD_CPU_CV" in sample.rails_w
    file.rmdir()
    write(file, 200)
    assert ina.sample().power_w == total_w


def test_a_monitor_that_disappears_is_a_fault_and_is_found_again(plant: Plant) -> None:
    root = plant("xavier-nx")
    ina, hwmon = Ina(sysfs=root / "sys"), root / "sys" / "class" / "hwmon"
    ina.sample()
    shutil.move(hwmon / "hwmon2", root / "moved")
    with pytest.raises(SensorFault, match="dmesg"):
        ina.sample()
    with pytest.raises(SensorAbsent):
        ina.sample()
    shutil.move(root / "moved", hwmon / "hwmon7")
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
def test_temperatures_and_throttling_of_each_board(
    plant: Plant, board: str, hottest: tuple[str, float], throttled: bool | None
) -> None:
    sample = Thermal(sysfs=plant(board) / "sys").sample()
    assert max(sample.temps_c.items(), key=lambda zone: zone[1]) == (hottest[0], pytest.approx(hottest[1]))
    assert sample.throttled is throttled


def test_a_warm_surface_or_a_running_fan_is_not_throttling(plant: Plant) -> None:
    root = plant("orin-nano-8gb")
    thermal = root / "sys" / "class" / "thermal"
    assert Thermal(sysfs=root / "sys").sample().throttled is False
    write(thermal / "cooling_device0" / "cur_state", 3)
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


def test_a_board_that_is_not_a_jetson_has_no_tegra_sensor(plant: Plant) -> None:
    with pytest.raises(SensorAbsent):
        Tegra(root=plant("laptop-x86")).sample()


def test_the_clock_ratio_is_the_limit_not_the_present_clock(plant: Plant) -> None:
    assert Processor(proc=Path("/proc"), sysfs=plant("laptop-x86") / "sys").sample().clock_ratio == 0.5
    assert Processor(proc=Path("/proc"), sysfs=plant("orin-nano-8gb") / "sys").sample().clock_ratio == 1.0


def test_the_load_is_that_between_two_samples(plant: Plant) -> None:
    root = plant("virtual-machine")
    processor, stat = Processor(proc=root / "proc", sysfs=root / "sys"), root / "proc" / "stat"
    write(stat, "cpu 100 0 100 800 0 0 0 0 0 0")
    assert processor.sample().cpu_load is None
    write(stat, "cpu 130 0 120 845 5 0 0 0 0 0")  # 50 busy, 45 idle, 5 waiting for a disk
    assert processor.sample().cpu_load == pytest.approx(0.5)
    assert processor.sample().cpu_load is None, "no time has passed"


def test_memory_and_pressure_are_read_from_proc(plant: Plant) -> None:
    root = plant("virtual-machine")
    write(root / "proc" / "meminfo", "MemTotal: 8000 kB\nMemAvailable: 2048 kB")
    write(root / "proc" / "pressure" / "memory", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1")
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


def test_the_power_of_a_package_is_its_energy_divided_by_time(plant: Plant) -> None:
    sysfs, clock = plant("laptop-x86") / "sys", Clock()
    rapl, counter = (
        Rapl(sysfs=sysfs, clock=clock),
        sysfs / "class" / "powercap" / "intel-rapl:0" / "energy_uj",
    )
    assert rapl.sample() == Sample()
    clock.now += 2.0
    write(counter, 31_000_000)
    assert rapl.sample().power_w == pytest.approx(15.0)
    assert rapl.sample().power_w == pytest.approx(15.0), "too soon for a new value"


def test_a_counter_may_wrap_around(plant: Plant) -> None:
    sysfs, clock = plant("laptop-x86") / "sys", Clock()
    rapl, zone = Rapl(sysfs=sysfs, clock=clock), sysfs / "class" / "powercap" / "intel-rapl:0"
    write(zone / "energy_uj", 262143328850 - 5_000_000)
    rapl.sample()
    clock.now += 1.0
    write(zone / "energy_uj", 3_000_000)
    assert rapl.sample().power_w == pytest.approx(8.0)


def test_a_counter_that_only_root_may_read_is_a_fault_with_a_remedy(plant: Plant) -> None:
    sysfs = plant("laptop-x86") / "sys"
    counter = sysfs / "class" / "powercap" / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    counter.mkdir()
    with pytest.raises(SensorFault, match="chgrp"):
        Rapl(sysfs=sysfs).sample()


PsutilBattery = namedtuple("PsutilBattery", "percent power_plugged")


def test_a_battery_reports_its_charge_and_whether_it_powers_the_board() -> None:
    sample = Battery(lambda: PsutilBattery(41, False)).sample()
    assert (sample.battery_pct, sample.on_battery) == (41, True)
    assert Battery(lambda: PsutilBattery(100.7, None)).sample() == Sample(battery_pct=100)


def test_a_board_without_a_battery_has_no_fault() -> None:
    with pytest.raises(SensorAbsent):
        Battery(lambda: None).sample()


@pytest.mark.parametrize("sensor", [Ina, Rapl, Thermal])
def test_a_machine_without_sensors_has_no_fault(
    sensor: type[Ina] | type[Rapl] | type[Thermal], tmp_path: Path
) -> None:
    with pytest.raises(SensorAbsent):
        sensor(sysfs=tmp_path).sample()
