"""The real client of jetson-stats reads its real service on a fabricated Jetson, in a root of its own.

With JTOP_TESTING=1 the service reads /fake_sys instead of /sys, except for temperatures. The root has the
directories of this machine, a group `jtop`, a stand-in for `nvpmodel`, and the files of an AGX Orin with a
USB-C supply and a disk.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

OWN = {"proc", "sys", "dev", "etc", "run", "fake_sys", "var"}
RAILS = {"VDD_GPU_SOC": (20_000, 240), "VDD_CPU_CV": (20_000, 80), "VIN_SYS_5V0": (5_000, 740)}
NVPMODEL = """#!/bin/sh
case "$1" in
-p) echo "NVPM VERB: PM_CONFIG: DEFAULT=MODE_30W(1)"
    for mode in "0 15W" "1 25W" "2 MAXN_SUPER"; do
        set -- $mode
        echo "NVPM VERB: POWER_MODEL: ID=$1 NAME=$2"
    done ;;
-q) echo "NV Power Mode: $(head -1 /opt/jetson/mode)"; tail -1 /opt/jetson/mode ;;
esac
"""
ENTER = """set -e
mount -t tmpfs none "$1"
cd "$1"
for name in $(ls -A /); do
    case " $2 " in *" $name "*) continue ;; esac
    if [ -L "/$name" ]; then cp -P "/$name" "$name"
    elif [ -d "/$name" ]; then mkdir -p "$name"; mount --rbind "/$name" "$name"
    fi
done
mkdir -p proc sys dev etc run fake_sys var/tmp
mount -t proc proc proc
mount --rbind /dev dev
mount --bind "$3/fake_sys" fake_sys
mount --bind "$3/fake_sys" sys
cp -r "$3/etc/." etc/
mkdir -p opt/jetson
mount -t tmpfs none opt
mkdir -p opt/jetson
cp "$3/nvpmodel" opt/jetson/nvpmodel
printf '25W\\n1\\n' > opt/jetson/mode
shift 3
exec chroot . "$@"
"""


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")


def jetson(folder: Path) -> None:
    """Writes the files of a Jetson AGX Orin as the service of jetson-stats reads them."""
    fake = folder / "fake_sys"
    monitor = fake / "bus" / "i2c" / "devices" / "1-0040"
    write(monitor / "name", "ina3221")
    for number, (label, (millivolts, milliamperes)) in enumerate(RAILS.items(), 1):
        write(monitor / "hwmon" / "hwmon3" / f"in{number}_label", label)
        write(monitor / "hwmon" / "hwmon3" / f"in{number}_input", millivolts)
        write(monitor / "hwmon" / "hwmon3" / f"curr{number}_input", milliamperes)
    supply = fake / "class" / "power_supply" / "ucsi-source-psy-USBC000:001"
    for name, content in (
        ("type", "USB"),
        ("online", 1),
        ("voltage_now", 20_000_000),
        ("current_now", 3_000_000),
    ):
        write(supply / name, content)
    gpu = fake / "devices" / "platform" / "17000000.gpu"
    (fake / "class" / "devfreq").mkdir(parents=True)
    (fake / "class" / "devfreq" / "17000000.gpu").symlink_to("../../devices/platform/17000000.gpu")
    (gpu / "device" / "of_node").mkdir(parents=True)
    (gpu / "device" / "of_node" / "name").write_bytes(b"gpu\0")
    write(gpu / "device" / "load", 250)
    for name, hertz in (("cur_freq", 306_000_000), ("max_freq", 1_300_500_000), ("min_freq", 306_000_000)):
        write(gpu / name, hertz)
    write(gpu / "governor", "nvhost_podgov")
    for number, (kind, millidegrees) in enumerate((("cpu-thermal", 48_000), ("cv0-thermal", -256_000))):
        write(fake / "devices" / "virtual" / "thermal" / f"thermal_zone{number}" / "type", kind)
        write(fake / "devices" / "virtual" / "thermal" / f"thermal_zone{number}" / "temp", millidegrees)
    disk = fake / "class" / "hwmon" / "hwmon0"
    for name, content in (("name", "nvme"), ("temp1_label", "Composite"), ("temp1_input", 71_000)):
        write(disk / name, content)
    write(fake / "devices" / "soc0" / "family", "Tegra")
    write(fake / "devices" / "soc0" / "soc_id", 35)
    write(fake / "devices" / "virtual" / "dmi" / "id" / "sys_vendor", "NVIDIA")
    write(fake / "stat", Path("/proc/stat").read_text())
    write(fake / "devices" / "system" / "cpu" / "online", "0-1")
    for cpu in ("cpu0", "cpu1"):
        write(fake / "devices" / "system" / "cpu" / cpu / "online", 1)
    (fake / "kernel" / "debug" / "clk").mkdir(parents=True)
    (folder / "etc").mkdir()
    for name in ("passwd", "group", "ld.so.cache", "os-release"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), folder / "etc" / name)
    (folder / "etc" / "fstab").touch()
    with (folder / "etc" / "group").open("a") as groups:
        groups.write("jtop:x:61234:\n")
    (folder / "nvpmodel").write_text(NVPMODEL)
    (folder / "nvpmodel").chmod(0o755)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the sensor reads at each step of the driver."""
    if importlib.util.find_spec("jtop") is None:
        pytest.skip("jetson-stats is not installed: `pip install 'inarvl[jetson]'`")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, for a root of its own")
    folder = tmp_path_factory.mktemp("jetson")
    jetson(folder)
    (folder / "root").mkdir()
    driver = Path(__file__).with_name("jtop_driver.py")
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter"]
    arguments = [folder / "root", " ".join(sorted(OWN)), folder, sys.executable, driver]
    ran = subprocess.run(
        [*enter, *map(str, arguments)],
        env={
            **os.environ,
            "PATH": f"/opt/jetson:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"step"')]
    return {line.pop("step"): line for line in lines}


def test_a_service_that_is_not_started_or_stops_is_a_fault_with_a_remedy(
    steps: dict[str, dict[str, Any]],
) -> None:
    assert "systemctl enable --now jtop" in steps["not started"]["fault"]
    assert "jtop cannot be read" in steps["stopped"]["fault"]


def test_the_power_is_that_of_the_rails_of_the_board_without_the_usb_c_supply(
    steps: dict[str, dict[str, Any]],
) -> None:
    for step in ("first", "changed", "GPU off", "again"):
        assert steps[step]["power_w"] == pytest.approx(4.8 + 1.6 + 3.7)


def test_the_temperature_is_that_of_the_processor(steps: dict[str, dict[str, Any]]) -> None:
    assert steps["first"]["temps_c"] == {"cpu": 48.0}
    assert list(steps["first"]["part_temps_c"].values()) == [71.0]


def test_the_load_of_the_gpu_and_the_power_mode_follow(steps: dict[str, dict[str, Any]]) -> None:
    assert (steps["first"]["gpu_load"], steps["first"]["power_mode"]) == (0.25, "25W")
    assert (steps["changed"]["gpu_load"], steps["changed"]["power_mode"]) == (0.8, "MAXN_SUPER")
    assert steps["GPU off"]["gpu_load"] is None


def test_the_sensor_recovers_after_a_restart_of_the_service(steps: dict[str, dict[str, Any]]) -> None:
    assert steps["again"]["rails_w"].keys() >= RAILS.keys()
