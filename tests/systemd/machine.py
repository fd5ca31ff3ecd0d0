"""A Debian under systemd-nspawn, on which services are installed and run as on a board."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RELEASE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,procps,python3-venv,mosquitto,libgomp1"
PYTHON = "3.11"  # the Python of that release
BOOT_S, TIMEOUT_S = 60.0, 120.0
ROOT = Path(__file__).parents[2]
LIBRARIES = "/libraries"
NOT_COPIED = (".*", "build", "dist", "*.egg-info", "__pycache__", "docs", "tests", "runs", "state")
SITE = "device: board\nlocal: null\ndiscovery: {zeroconf: false}\n"


def cache() -> Path:
    """The folder for files that are kept between runs, because they take long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "inarvl"


def unsupported_reason() -> str | None:
    """The reason why no machine can be booted here, or None."""
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    for program, package in (("systemd-nspawn", "systemd-container"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt package {package})"
    return None


NEED_MACHINE = [
    pytest.mark.systemd,
    pytest.mark.root,
    pytest.mark.skipif(unsupported_reason() is not None, reason=str(unsupported_reason())),
    pytest.mark.timeout(900),
]


def debian() -> Path:
    """The root of a minimal Debian; the first call creates it, which takes about a minute."""
    folder = cache() / f"debian-{RELEASE}-3"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(unfinished)]
        subprocess.run(command, check=True, capture_output=True)
        unfinished.rename(folder)
    return folder


def wheels(*locks: str) -> Path:
    """The folder with a wheel of this inarvl and what requirements/agent.txt and `locks` name, for PYTHON."""
    folder = cache() / f"wheels-{PYTHON}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("inarvl-*.whl"):
        old.unlink()
    own_wheel(folder)
    for lock in ("agent.txt", *locks):
        _pip(
            "download",
            "--only-binary=:all:",
            "--no-binary=jetson-stats",
            "--no-deps",
            "--require-hashes",
            f"--python-version={PYTHON}",
            f"--dest={folder}",
            f"--requirement={ROOT / 'requirements' / lock}",
        )
    _pip("download", "--no-deps", f"--dest={folder}", "setuptools", "wheel")  # build jetson-stats
    return folder


def own_wheel(folder: Path, version: str | None = None) -> Path:
    """Build a wheel of this inarvl into `folder`, from a copy without the leftovers of earlier builds."""
    with tempfile.TemporaryDirectory(prefix="inarvl-source-") as temporary:
        source = Path(temporary) / "source"
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_COPIED))
        if version is not None:
            numbered = source / "inarvl" / "__init__.py"
            numbered.write_text(f'{numbered.read_text()}__version__ = "{version}"\n')
        _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source))
    (own,) = folder.glob("inarvl-*.whl")
    return own


class Machine:
    """A booted machine."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        ran = subprocess.run([*inside, *environment, *command], capture_output=True, text=True, check=False)
        assert not check or ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran

    def install(
        self, *parts: str, check: bool = True, links: str = "/wheels"
    ) -> subprocess.CompletedProcess[str]:
        """Run scripts/install with the wheel of this inarvl, and with packages from the folder `links`."""
        (wheel,) = self.run("sh", "-c", "ls /wheels/inarvl-*.whl").stdout.split()
        offline = ("env", "PIP_NO_INDEX=1", f"PIP_FIND_LINKS={links}")
        return self.run(*offline, "/src/scripts/install", "--from", wheel, *parts, check=check)

    def on_its_network(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this system in the network of the machine."""
        inside = ["nsenter", "-t", str(self.leader), "-n"]
        return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

    def put(self, file: Path) -> str:
        """Copy a file to the machine; its path there."""
        shutil.copy(file, f"/proc/{self.leader}/root/tmp")
        return f"/tmp/{file.name}"

    def write(self, path: str, text: str) -> None:
        """Write a file on the machine."""
        self.run("install", "-d", str(Path(path).parent))
        self.run("sh", "-c", 'printf %s "$1" > "$0"', path, text)

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a file of any bytes on the machine."""
        octal = "".join(f"\\{byte:03o}" for byte in content)
        self.run("sh", "-c", 'printf "$1" > "$0"', path, octal)

    def show(self, unit: str, name: str) -> str:
        """The value of a unit's property."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def until(self, condition: Callable[[], bool], problem: str) -> None:
        """Wait until `condition()`; fail with `problem` and the end of the journal after TIMEOUT_S."""
        give_up = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < give_up, (
                f"{problem}: {self.run('journalctl', '-n', '30', '--no-pager').stdout}"
            )
            time.sleep(0.1)


@contextmanager
def booted(debian: Path, wheels: Path) -> Iterator[Machine]:
    """Boot `debian` with the libraries of this Python at LIBRARIES; its disk is restored afterwards."""
    command = ["systemd-nspawn", "-q", "-D", str(debian), "--boot", "--register=no", "--keep-unit"]
    command += ["--private-network", "--volatile=overlay", f"--machine=inarvl-{os.getpid()}"]
    command += [f"--bind-ro={ROOT}:/src", f"--bind-ro={wheels}:/wheels"]
    command += [f"--bind-ro={sysconfig.get_path('platlib')}:{LIBRARIES}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        machine = Machine(_leader_of(process.pid))
        states = ("running", "degraded")
        machine.until(
            lambda: machine.run("systemctl", "is-system-running", check=False).stdout.strip() in states,
            "it did not boot",
        )
        machine.write("/etc/hosts", "127.0.0.1 localhost\n")  # debootstrap writes none
        yield machine
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _leader_of(nspawn: int) -> int:
    until = time.monotonic() + BOOT_S
    while time.monotonic() < until:
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        time.sleep(0.1)
    raise AssertionError("systemd did not start in the container")


def _pip(command: str, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet", *arguments]
    ran = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
