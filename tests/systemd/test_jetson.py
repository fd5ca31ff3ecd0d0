"""scripts/install keeps JetPack's torch on a Jetson, installs jetson-stats and says what remains to do.

No Jetson: a booted Debian with the files by which a Jetson is known. Its torch is a stub with the version of
NVIDIA's build, which sees a GPU, knows numpy 1 only, and can be made to break. All other packages are real.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from machine import NEED_MACHINE, PYTHON, SITE, Machine, booted, debian, wheels

TORCH = "2.5.0a0+872d925384.nv24.08.17622132"
SYSTEM = f"/usr/local/lib/python{PYTHON}/dist-packages"
OWN = f"/opt/inarvl/lib/python{PYTHON}/site-packages"
RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
COMPATIBLE = "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0"
STUB = f'''
import importlib.util, types
__version__ = "{TORCH}"
breaks = __import__("os").path.exists("/etc/torch-breaks") and importlib.util.find_spec("transformers")
cuda = types.SimpleNamespace(is_available=lambda: not breaks)
def from_numpy(array):
    import numpy
    if not numpy.__version__.startswith("1."):
        raise RuntimeError("Numpy is not available")
'''
# sysfs has no device tree here, and no folder can be made in it.
SYS_WITH_FIRMWARE = """
mkdir /run/sys && mount -t tmpfs tmpfs /run/sys && mkdir -p /run/sys/firmware/devicetree/base
for folder in /sys/*/; do
    mkdir -p "/run$folder" && mount --rbind "$folder" "/run$folder"
done
mount --rbind /run/sys /sys
"""
METADATA = "Metadata-Version: 2.1\nName: torch\nVersion: {}\n"
CONTENT = (
    "cd /opt/inarvl && find . -type f ! -name '*.pyc' -exec sha256sum {} + | sort; readlink -f bin/python"
)

pytestmark = NEED_MACHINE


@pytest.fixture(scope="module")
def jetson() -> Iterator[Machine]:
    with booted(debian(), wheels("vlm.txt", "jetpack-6.txt", "jetson.txt")) as machine:
        machine.run("sh", "-euc", SYS_WITH_FIRMWARE)
        tree = "/sys/firmware/devicetree/base"
        model = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
        machine.write_bytes(f"{tree}/model", model.encode() + b"\0")
        machine.write_bytes(f"{tree}/compatible", COMPATIBLE.encode())
        machine.write("/etc/nv_tegra_release", RELEASE)
        machine.write("/etc/inarvl/agent.yaml", SITE)
        yield machine


def put_torch(jetson: Machine, folder: str, code: str = STUB, version: str = TORCH) -> None:
    """Puts a stub into a folder of Python packages, as pip would."""
    jetson.write(f"{folder}/torch/__init__.py", code)
    jetson.write(f"{folder}/torch-{version}.dist-info/METADATA", METADATA.format(version))
    jetson.write(f"{folder}/torch-{version}.dist-info/INSTALLER", "pip\n")
    files = [
        "torch/__init__.py,,",
        f"torch-{version}.dist-info/METADATA,,",
        f"torch-{version}.dist-info/RECORD,,",
    ]
    jetson.write(f"{folder}/torch-{version}.dist-info/RECORD", "\n".join(files))


def install(jetson: Machine, *parts: str, links: str = "/wheels") -> subprocess.CompletedProcess[str]:
    return jetson.install("--no-start", *parts, check=False, links=links)


def python(jetson: Machine, code: str) -> str:
    """What a line of code prints in the installed environment."""
    return jetson.run("/opt/inarvl/bin/python", "-c", code).stdout.strip()


@pytest.fixture(scope="module")
def installed(jetson: Machine) -> subprocess.CompletedProcess[str]:
    put_torch(jetson, SYSTEM)
    ran = install(jetson, "agent", "vlm")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def test_the_jetpack_is_recognised_and_what_remains_is_said(
    installed: subprocess.CompletedProcess[str],
) -> None:
    assert "This board has JetPack 6 (Jetson Linux 36.4.3)" in installed.stdout
    _, _, remains = installed.stdout.partition("What remains to do:\n")
    assert "bitsandbytes does not work with this board's GPU" in remains  # the stub has no kernels
    assert "DCOMPUTE_CAPABILITY=87" in remains
    assert "llama.cpp with a Q4_K_M file" in remains
    assert "Install the torchvision for this torch" in remains
    assert "jetson-stats" not in remains


def test_the_torch_of_jetpack_is_used_with_a_numpy_and_a_transformers_that_know_it(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    assert python(jetson, "import torch; print(torch.__version__, torch.__file__)").split() == [
        TORCH,
        f"{SYSTEM}/torch/__init__.py",
    ]
    assert jetson.run("sh", "-c", f"ls -d {OWN}/torch* {OWN}/nvidia* 2>/dev/null", check=False).stdout == ""
    assert python(jetson, "import numpy; print(numpy.__version__, numpy.__file__)").split() == [
        "1.26.4",
        f"{OWN}/numpy/__init__.py",
    ]
    accepted = "from transformers.utils import is_torch_available as torch; print(torch())"
    assert python(jetson, accepted) == "True"
    assert python(jetson, "import transformers; print(transformers.__file__)").startswith(OWN)


def test_jetson_stats_is_a_service_that_the_agent_may_read(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    assert "Installed jetson-stats; its service is jtop" in installed.stdout
    assert jetson.run("systemctl", "is-enabled", "jtop").stdout.strip() == "enabled"
    assert "jtop" in jetson.run("id", "-nG", "inarvl-agent").stdout.split()
    assert python(jetson, "import jtop; print(jtop.__file__)").startswith(SYSTEM)


def test_the_agent_starts_and_recognises_the_board(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    listed = jetson.run("/opt/inarvl/bin/inarvl", "profile", "list", "--json").stdout
    assert json.loads(listed)["profile"] == "orin-nano-8gb"
    jetson.run("systemctl", "daemon-reload")
    jetson.run("systemctl", "start", "mosquitto", "inarvl-agent")
    jetson.run("systemctl", "stop", "inarvl-agent")


def test_an_update_replaces_the_torch_that_hides_jetpacks(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    put_torch(jetson, OWN, STUB.replace("lambda: not breaks", "lambda: False"), "2.13.0")
    ran = install(jetson, "agent", "vlm")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Installed jetson-stats" not in ran.stdout  # it is there
    assert python(jetson, "import torch; print(torch.__file__)").startswith(SYSTEM)


def test_an_update_that_would_break_torch_is_undone(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    before = jetson.run("sh", "-c", CONTENT).stdout
    jetson.write("/etc/torch-breaks", "")
    ran = install(jetson, "agent", "vlm")
    jetson.run("rm", "/etc/torch-breaks")
    assert ran.returncode == 1
    assert f'torch was "{TORCH} cuda" and would now be "{TORCH} cpu"' in ran.stderr
    assert "/opt/inarvl is as it was before" in ran.stderr
    assert jetson.run("sh", "-c", CONTENT).stdout == before
    assert jetson.run("ls", "/opt").stdout.split() == ["inarvl"]


def test_an_installation_that_was_killed_is_undone_by_the_next(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    before = jetson.run("sh", "-c", CONTENT).stdout
    jetson.run("cp", "-al", "/opt/inarvl", "/opt/inarvl.previous")
    jetson.run("mkdir", "/opt/inarvl.previous.part")  # of one that was killed while it made its copy
    jetson.run("rm", "-rf", f"{OWN}/numpy")
    ran = install(jetson, "agent")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert jetson.run("sh", "-c", CONTENT).stdout == before
    assert jetson.run("ls", "/opt").stdout.split() == ["inarvl"]


def test_without_jetson_stats_it_says_so_and_the_next_run_installs_it(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    jetson.run("sh", "-c", f"rm -rf {SYSTEM}/jtop {SYSTEM}/jetson_stats*")
    jetson.run("sh", "-c", "mkdir /others && ln -s /wheels/* /others && rm /others/jetson*")
    ran = install(jetson, "agent", links="/others")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    _, _, remains = ran.stdout.partition("What remains to do:\n")
    assert "jetson-stats could not be installed" in remains
    assert "Installed jetson-stats; its service is jtop" in install(jetson, "agent").stdout
    assert python(jetson, "import jtop; print(jtop.__file__)").startswith(SYSTEM)


def test_without_a_torch_nothing_is_changed_and_it_says_what_helps(
    jetson: Machine, installed: subprocess.CompletedProcess[str]
) -> None:
    before = jetson.run("sh", "-c", CONTENT).stdout
    jetson.run("sh", "-c", f"rm -rf {SYSTEM}/torch*")
    ran = install(jetson, "agent", "vlm")
    assert ran.returncode == 1
    assert "JetPack 6 (Jetson Linux 36.4.3): the Python of this board (python3) has no torch" in ran.stderr
    assert "llama.cpp" in ran.stderr
    put_torch(jetson, SYSTEM, 'raise ImportError("libcudnn.so.9: cannot open shared object file")')
    ran = install(jetson, "vlm")
    assert ran.returncode == 1
    assert "torch does not load: ImportError: libcudnn.so.9: cannot open shared object file" in ran.stderr
    assert jetson.run("sh", "-c", CONTENT).stdout == before
    assert install(jetson, "agent").returncode == 0
