"""Every sensor reads the files of the boards that it supports, and its errors say what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensing.battery import Battery
from agent.sensing.gpu import DevfreqGpu, is_gpu
from agent.sensing.ina import Ina
from agent.sensing.processor import Processor
from agent.sensing.rails import board_rails, total_w
from agent.sensing.rapl import Rapl
from agent.sensing.sample import Sample, SensorAbsent, SensorFault
from agent.sensing.tegra import Tegra
from agent.sensing.thermal import Thermal
from agent.sensing.zones import split_zones

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
            19.832 * 0.2 + 19.84 * 0.06 + 4.968 * 0.8,  # VIN_SYS_5V0 contains VDDQ_VDD2_1V8AO
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
    rails = ("VDD_GPU_SOC", "VDDQ_VDD2_1V8AO")
    assert Ina(rails, sysfs=sysfs).sample().power_w == pytest.approx(19.832 * 0.2 + 4.968 * 0.08)
    assert Ina(("VDD_IN",), sysfs=sysfs).sample().power_w is None


@pytest.mark.parametrize(
    ("rails", "board"),
    [
        ({"VDD_IN", "VDD_SOC", "USB0_5V"}, {"VDD_IN"}),
        ({"VIN", "VDD_IN", "VDD_SOC"}, {"VIN"}),
        (
            {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"},
            {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"},
        ),
        ({"VDD_CPU", "VDDQ_VDD2_1V8AO"}, {"VDD_CPU", "VDDQ_VDD2_1V8AO"}),
        ({"GPU", "CPU", "SYS5V", "ucsi-source-psy-USBC000:001"}, {"GPU", "CPU", "SYS5V"}),
        ({"CPU", "tcpm-source-psy-5-004e", "VBUS_USB1", "TYPEC_PORT", "BAT0", "AC", "charger"}, {"CPU"}),
        ({"CPU", "INA238"}, {"CPU"}),
        ({"ucsi-source-psy-USBC000:001"}, set()),
    ],
)
def test_the_rails_of_the_board_are_chosen_by_what_they_are(rails: set[str], board: set[str]) -> None:
    assert set(board_rails(sorted(rails))) == board
    total = total_w(dict.fromkeys(rails, 2.0), board_rails(sorted(rails)))
    assert total == (2.0 * len(board) if board else None)


@pytest.mark.parametrize(
    ("label", "rail", "power_w"),
    [(None, "INA238", 10.0), ("USB_PORTS", "USB_PORTS", 10.0), ("VIN", "VIN", 24.0)],
)
def test_a_monitor_on_a_carrier_board_is_the_input_only_if_its_label_says_so(
    tmp_path: Path, label: str | None, rail: str, power_w: float
) -> None:
    module, carrier = (tmp_path / "class" / "hwmon" / name for name in ("hwmon1", "hwmon2"))
    for folder, files in (
        (module, {"name": "ina3221", "in1_label": "GPU", "in1_input": 20000, "curr1_input": 500}),
        (carrier, {"name": "ina238", "in1_input": 24000, "curr1_input": 1000, "power1_input": 24_000_000}),
    ):
        folder.mkdir(parents=True)
        for name, content in files.items():
            write(folder / name, content)
    if label:
        node = carrier / "device" / "of_node"
        node.mkdir(parents=True)
        (node / "label").write_text(f"{label}\0")
    sample = Ina(sysfs=tmp_path).sample()
    assert rail in sample.rails_w
    assert sample.power_w == pytest.approx(power_w)


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


@pytest.mark.parametrize(
    ("temps_c", "board", "parts"),
    [
        (
            {"cpu": 48, "nvme Composite": 71, "Composite": 70, "Sensor 1": 72},
            {"cpu"},
            {"nvme Composite", "Composite", "Sensor 1"},
        ),
        (
            {"CPU-therm": 48, "PMIC-Die": 100, "Tboard_tegra": 40, "iwlwifi_1": 60},
            {"CPU-therm", "Tboard_tegra"},
            {"iwlwifi_1"},
        ),
        ({"acpitz": 27.8, "wifi": 60}, {"acpitz"}, {"wifi"}),
        ({"acpitz": 27.8, "x86_pkg_temp": 50}, {"x86_pkg_temp"}, {"acpitz"}),
        ({"my-zone": 50, "bat0": 30}, {"my-zone"}, {"bat0"}),
        ({"nvme": 60}, set(), {"nvme"}),
    ],
)
def test_only_the_boards_temperatures_limit_it(
    temps_c: dict[str, float], board: set[str], parts: set[str]
) -> None:
    on_board, of_parts = split_zones(temps_c)
    assert (set(on_board), set(of_parts)) == (board, parts)


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
    root = plant(board)
    sample = DevfreqGpu(sysfs=root / "sys").sample()
    assert sample.gpu_load == load
    assert sample.gpu_clock_ratio == pytest.approx(clock)
    assert Tegra(root=root).sample().power_mode == mode


GPUS = [
    ("17000000.gpu", "gpu", "nvidia,ga10b", True),
    ("17000000.ga10b", "ga10b", None, True),
    ("17000000.gv11b", None, None, True),
    ("57000000.gpu", "gpu", "nvidia,tegra210-gm20b", True),
    ("gpu-gpc-0", "gpu", "nvidia,gpu", True),
    ("gpu-nvd-0", "gpu", "nvidia,gpu", False),
    ("15340000.vic", "vic", "nvidia,tegra234-vic", False),
    ("15480000.nvdec", None, None, False),
    ("fb000000.gpu", "gpu", "arm,mali-bifrost", True),
    ("fb000000.gpu-panthor", None, None, True),
    ("fdab0000.npu", "npu", "rockchip,rk3588-rknpu", False),
    ("dmc", "dmc", "rockchip,rk3588-dmc", False),
    ("1002000000.v3d", "v3d", "brcm,2712-v3d", True),
    ("devfreq-gpu-thermal", None, None, False),
    ("gpu-bus", "gpu-bus", None, False),
]


@pytest.mark.parametrize(("device", "node", "compatible", "is_the_gpu"), GPUS, ids=str)
def test_the_gpu_is_told_from_other_blocks_by_its_node(
    tmp_path: Path, device: str, node: str | None, compatible: str | None, is_the_gpu: bool
) -> None:
    folder = tmp_path / device
    (folder / "device" / "of_node").mkdir(parents=True)
    for name, content in (("name", node), ("compatible", compatible)):
        if content is not None:
            (folder / "device" / "of_node" / name).write_text(f"{content}\0")
    assert is_gpu(folder) is is_the_gpu


@pytest.mark.parametrize(
    ("files", "load"),
    [
        ({"load": "37@300000000Hz"}, 0.37),
        ({"load": "137@300000000Hz"}, 1.0),
        ({"device/load": "372"}, 0.372),
        ({"device/utilisation": "41"}, 0.41),
        ({"load": "", "device/load": ""}, None),  # the GPU is switched off
        ({"load": "x@y"}, None),
        ({}, None),
    ],
)
def test_the_load_of_the_gpu_has_the_unit_of_its_driver(
    tmp_path: Path, files: dict[str, str], load: float | None
) -> None:
    device = tmp_path / "class" / "devfreq" / "fb000000.gpu"
    (device / "device").mkdir(parents=True)
    for path, content in files.items():
        write(device / path, content)
    assert DevfreqGpu(sysfs=tmp_path).sample().gpu_load == load


def test_the_power_mode_is_found_in_either_order_of_its_definition(plant: Plant) -> None:
    root = plant("orin-nano-8gb")
    (root / "etc" / "nvpmodel.conf").write_text(
        "< POWER_MODEL NAME=MAXN ID=0 >\n<POWER_MODEL ID=1 NAME=7W>\n"
    )
    assert Tegra(root=root).sample().power_mode == "MAXN"
    write(root / "var" / "lib" / "nvpmodel" / "status", "pmode:0001 fmode:fan_mode_quiet")
    assert Tegra(root=root).sample().power_mode == "7W"


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


def test_the_load_is_that_of_the_cores_that_stay_on(plant: Plant) -> None:
    """The counters of a core that a power mode switches off stand still, and jump when it returns."""
    root = plant("virtual-machine")
    processor, stat = Processor(proc=root / "proc", sysfs=root / "sys"), root / "proc" / "stat"
    write(stat, "cpu 0 0 0 0\ncpu0 100 0 0 100\ncpu1 5000 0 0 100\nintr 1")
    processor.sample()
    write(stat, "cpu 0 0 0 0\ncpu0 150 0 0 150\nintr 1")
    assert processor.sample().cpu_load == pytest.approx(0.5)
    write(stat, "cpu 0 0 0 0\ncpu0 160 0 0 190\ncpu1 9000 0 0 100\nintr 1")
    assert processor.sample().cpu_load == pytest.approx(0.2)


def test_a_cluster_that_is_switched_off_does_not_limit_the_clock(plant: Plant) -> None:
    sysfs = plant("orin-nano-8gb") / "sys"
    policy = sysfs / "devices" / "system" / "cpu" / "cpufreq" / "policy4"
    policy.mkdir()
    for name, content in (("scaling_max_freq", 100), ("cpuinfo_max_freq", 1000), ("affected_cpus", "")):
        write(policy / name, content)
    assert Processor(proc=Path("/proc"), sysfs=sysfs).sample().clock_ratio == 1.0
    write(policy / "affected_cpus", "4 5")
    assert Processor(proc=Path("/proc"), sysfs=sysfs).sample().clock_ratio == 0.1


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


@pytest.mark.parametrize("sensor", [Ina, Rapl, Thermal, Battery, DevfreqGpu])
def test_a_machine_without_sensors_has_no_fault(
    sensor: type[Ina] | type[Rapl] | type[Thermal] | type[Battery] | type[DevfreqGpu], tmp_path: Path
) -> None:
    with pytest.raises(SensorAbsent):
        sensor(sysfs=tmp_path).sample()
