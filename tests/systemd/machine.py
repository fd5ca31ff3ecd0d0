"""A Debian of its own under systemd-nspawn, in which services are installed and run as on a board."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RELEASE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,procps,python3-venv,mosquitto"
PYTHON = "3.11"  # of that release
BOOT_S, PATIENCE_S = 60.0, 120.0
ROOT = Path(__file__).parents[2]
LIBRARIES = "/libraries"
SITE = "device: board\nlocal: null\ndiscovery: {zeroconf: false}\n"


def cache() -> Path:
    """Where what takes long to make is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "inarvl"


def why_not() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    for program, package in (("systemd-nspawn", "systemd-container"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt package {package})"
    return None


def debian() -> Path:
    """A minimal Debian, made at the first use in about a minute."""
    folder = cache() / f"debian-{RELEASE}-2"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(unfinished)]
        subprocess.run(command, check=True, capture_output=True)
        unfinished.rename(folder)
    return folder


def wheels() -> Path:
    """Wheels of inarvl as it is now and of what it needs, for that Debian's Python."""
    folder = cache() / f"wheels-{PYTHON}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("inarvl-*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip"]
    _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (own,) = folder.glob("inarvl-*.whl")
    _run(
        *pip,
        "download",
        "--quiet",
        "--only-binary=:all:",
        f"--python-version={PYTHON}",
        f"--dest={folder}",
        f"--find-links={folder}",
        str(own),
    )
    return folder


class Machine:
    """A booted machine."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        ran = subprocess.run([*inside, *environment, *command], capture_output=True, text=True, check=False)
        assert not check or ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran

    def on_its_network(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours with its network only."""
        inside = ["nsenter", "-t", str(self.leader), "-n"]
        return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

    def write(self, path: str, text: str) -> None:
        """Write a file in it."""
        self.run("install", "-d", str(Path(path).parent))
        self.run("sh", "-c", 'printf %s "$1" > "$0"', path, text)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < give_up, (
                f"{what}: {self.run('journalctl', '-n', '30', '--no-pager').stdout}"
            )
            time.sleep(0.1)


@contextmanager
def booted(debian: Path, wheels: Path) -> Iterator[Machine]:
    """Boot it, with the libraries of these tests at LIBRARIES; what is written in it is gone afterwards."""
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
        machine.write("/etc/hosts", "127.0.0.1 localhost\n")  # an installer writes it, debootstrap does not
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


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
