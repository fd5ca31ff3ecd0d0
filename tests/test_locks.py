"""`scripts/check-locks` accepts a lock that installs everywhere, and refuses any other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MACHINES = ("x86_64", "aarch64")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".tools/bin/uv").exists(), reason="scripts/tools has not been run"),
]


class Registry:
    """A package registry on this machine, with packages made for a test."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def add(self, name: str, *platforms: str, needs: str = "") -> str:
        """Adds version 1.0 of a package with a wheel for each platform, and returns its line in a lock."""
        hashes = []
        for platform in platforms:
            wheel = self.folder / name / f"{name}-1.0-py3-none-{platform}.whl"
            wheel.parent.mkdir(exist_ok=True)
            with zipfile.ZipFile(wheel, "w") as archive:
                archive.writestr(
                    f"{name}-1.0.dist-info/METADATA",
                    f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
                    + (f"Requires-Dist: {needs}\n" if needs else ""),
                )
                archive.writestr(
                    f"{name}-1.0.dist-info/WHEEL",
                    f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n",
                )
                archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
            hashes.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
            with (wheel.parent / "index.html").open("a") as page:
                page.write(f'<a href="{wheel.name}#sha256={hashes[-1]}">{wheel.name}</a>\n')
        return f"{name}==1.0 " + " ".join(f"--hash=sha256:{one}" for one in hashes) + "\n"

    def check(self, lock: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts/check-locks", lock],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "UV_DEFAULT_INDEX": self.url, "UV_NO_CACHE": "1", "NO_PROXY": "127.0.0.1"},
        )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name in the base class)
        pass


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Registry(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock.txt"


def wheels(glibc: str) -> list[str]:
    return [f"manylinux_{glibc}_{machine}" for machine in MACHINES]


def test_a_lock_with_the_wheels_of_both_machines_passes(registry: Registry, lock: Path) -> None:
    lock.write_text(registry.add("camera", *wheels("2_35")) + registry.add("words", "any"))
    checked = registry.check(lock)
    assert checked.returncode == 0, checked.stderr
    rows = [line.split() for line in checked.stdout.splitlines()]
    assert {(row[0], row[1]) for row in rows} == {
        (python, machine) for python in ("3.10", "3.11", "3.12", "3.13") for machine in MACHINES
    }
    assert {row[3] for row in rows} == {"2"}


@pytest.mark.parametrize("platform", ["win_arm64", "macosx_11_0_arm64", "manylinux_2_36_aarch64"])
def test_a_package_without_a_wheel_for_the_board_is_refused(
    registry: Registry, lock: Path, platform: str
) -> None:
    lock.write_text(registry.add("camera", "manylinux_2_17_x86_64", platform))
    checked = registry.check(lock)
    assert checked.returncode == 1
    by_machine = {line.split()[1]: line for line in checked.stdout.splitlines()}
    assert "does not resolve" in by_machine["aarch64"]
    assert "does not resolve" not in by_machine["x86_64"]


def test_a_wrong_hash_is_refused(registry: Registry, lock: Path) -> None:
    line = registry.add("words", "any")
    lock.write_text(line[:-2] + ("0" if line[-2] != "0" else "1") + "\n")
    checked = registry.check(lock)
    assert checked.returncode == 1
    assert "has not the hash of words-1.0-py3-none-any.whl" in checked.stdout


def test_the_hash_of_one_machine_only_is_refused(registry: Registry, lock: Path) -> None:
    line = registry.add("camera", *wheels("2_17"))
    lock.write_text(line[: line.rindex(" --hash")] + "\n")
    checked = registry.check(lock)
    assert checked.returncode == 1
    assert "has not the hash of camera-1.0-py3-none-manylinux_2_17_aarch64.whl" in checked.stdout


def test_a_lock_that_lacks_what_a_package_needs_is_refused(registry: Registry, lock: Path) -> None:
    registry.add("words", "any")
    lock.write_text(registry.add("camera", "any", needs="words"))
    checked = registry.check(lock)
    assert checked.returncode == 1
    assert "has not the hash of words-1.0-py3-none-any.whl" in checked.stdout


def test_a_version_that_the_registry_has_not_is_refused(registry: Registry, lock: Path) -> None:
    lock.write_text(registry.add("words", "any").replace("==1.0", "==1.1"))
    checked = registry.check(lock)
    assert checked.returncode == 1
    assert "words==1.1" in checked.stderr
