"""The Debian package: what is in it, and its life on a machine without network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from PIL import Image

from machine import PYTHON, ROOT, Machine, booted, debian, own_wheel, unsupported_reason

USERS = {"inarvl-agent", "inarvl-vlm", "inarvl-llamacpp", "inarvl-cloud"}
UNIT, STATE, SITE_FILE = "inarvl-agent", "/var/lib/inarvl-agent", "/etc/inarvl/agent.yaml"
SITE = """# An administrator wrote this.
device: board
local: null
discovery: {zeroconf: false}
probing: {sight: false, metered: true}
peers: [{id: far, url: "http://127.0.0.1:9000"}]
"""
PEER = """
import http.server, json

class Peer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": "scripted"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "yes"}
        self.answer({"choices": [{"message": message, "finish_reason": "stop"}]})

    def answer(self, content):
        known = self.path in ("/v1/models", "/v1/chat/completions")
        body = json.dumps(content if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", 9000), Peer).serve_forever()
"""
NEXT_VERSION = "99.0.0"
FILES = (
    "find / -xdev -regextype posix-extended -regex '/(proc|sys|dev|run|tmp|var/log)(/.*)?' -prune -o -print"
)
AARCH64 = 183  # e_machine of ELF files

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
pytestmark = [pytest.mark.slow, needs_dpkg, pytest.mark.timeout(900)]


def packaged(wheel: Path, architecture: str, python: str) -> Path:
    """The package of a wheel; not compressed, which would take a minute."""
    built = subprocess.run(
        [ROOT / "scripts/package", "--from", wheel, "--to", wheel.parent, "--python", python, architecture],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "none", "PYTHON": sys.executable},
    )
    assert built.returncode == 0, built.stderr
    (package,) = wheel.parent.glob(f"*+py{python}_{architecture}.deb")
    return package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_wheel(tmp_path_factory.mktemp("this"))


@pytest.fixture(scope="module")
def packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The package for the machine, and the same of a higher version."""
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    following = own_wheel(tmp_path_factory.mktemp("next"), NEXT_VERSION)
    return packaged(wheel, architecture, PYTHON), packaged(following, architecture, PYTHON)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a broker and a cloud peer, and without inarvl."""
    with booted(debian(), tmp_path) as running:
        running.run("systemctl", "start", "mosquitto")
        running.write("/tmp/peer.py", PEER)
        running.run("systemd-run", "--unit=peer", "python3", "/tmp/peer.py")
        yield running


def installs(machine: Machine, package: str) -> None:
    """Install it without waiting for the disk after each of 4000 files."""
    machine.run("dpkg", "--force-unsafe-io", "-i", package)


def ask(machine: Machine, folder: Path) -> str:
    """Ask the agent on the machine; its answer, empty without one."""
    (folder / "agent.yaml").write_text(SITE)
    Image.new("RGB", (64, 64)).save(folder / "shot.jpg")
    tool = str(Path(sys.executable).with_name("inarvl"))
    asked = ("ask", str(folder / "shot.jpg"), "is it dark?", "--config", str(folder / "agent.yaml"))
    return machine.on_its_network(tool, *asked).stdout.strip().lower()


def files(machine: Machine) -> set[str]:
    return set(machine.run("sh", "-c", FILES).stdout.splitlines())


def users(machine: Machine) -> set[str]:
    return {line.split(":")[0] for line in machine.run("getent", "passwd").stdout.splitlines()}


@pytest.mark.systemd
@pytest.mark.root
@pytest.mark.skipif(unsupported_reason() is not None, reason=str(unsupported_reason()))
def test_the_life_of_the_package_on_a_machine_without_network(
    board: Machine, packages: tuple[Path, Path], tmp_path: Path
) -> None:
    before, users_before = files(board), users(board)
    first, following = (board.put(package) for package in packages)

    installs(board, first)
    assert board.show(UNIT, "ActiveState") == "active"  # Type=notify: the agent has reported that it is ready
    assert board.show(UNIT, "UnitFileState") == "enabled"
    assert board.run("cat", SITE_FILE).stdout.startswith("# All defaults")
    assert board.run("dpkg", "--verify", UNIT).stdout == ""

    board.write(SITE_FILE, SITE)
    board.run("systemctl", "restart", UNIT)
    board.until(lambda: ask(board, tmp_path) == "yes", "the agent does not answer")
    pid = board.show(UNIT, "MainPID")

    installs(board, following)
    assert board.show(UNIT, "ActiveState") == "active"
    assert board.show(UNIT, "MainPID") not in (pid, "0")
    assert board.run("inarvl", "--version").stdout.strip() == f"inarvl {NEXT_VERSION}"
    assert board.run("cat", SITE_FILE).stdout == SITE
    assert re.match("[1-9][0-9]* answered", board.show(UNIT, "StatusText")), "what it learned is lost"
    board.until(lambda: ask(board, tmp_path) == "yes", "the agent does not answer any more")

    board.run("dpkg", "--remove", UNIT)
    assert board.show(UNIT, "LoadState") == "not-found"
    kept = files(board) - before
    assert {f"{STATE}/learned.json", f"{STATE}/spool.db", SITE_FILE} <= kept
    assert not [file for file in kept if file.startswith(("/opt", "/usr"))]

    board.run("dpkg", "--purge", UNIT)
    assert files(board) - before == set()
    assert before - files(board) <= {"/opt"}  # dpkg removes an empty folder that no other package has
    assert users(board) - users_before == USERS  # never reused


@pytest.mark.systemd
@pytest.mark.root
@pytest.mark.skipif(unsupported_reason() is not None, reason=str(unsupported_reason()))
def test_scripts_install_and_the_package_refuse_each_other_and_say_what_to_do(
    board: Machine, packages: tuple[Path, Path]
) -> None:
    package = board.put(packages[0])
    unit_file = f"/etc/systemd/system/{UNIT}.service"
    board.run("install", "-m", "644", f"/src/systemd/{UNIT}.service", unit_file)
    board.run("install", "-D", "/dev/null", "/opt/inarvl/bin/pip")
    refused = board.run("dpkg", "-i", package, check=False)
    assert refused.returncode != 0
    assert unit_file in refused.stderr
    for line in re.findall(r"^    (\w.*)$", refused.stderr, re.MULTILINE):  # the remedy that it names
        board.run("sh", "-c", line)
    installs(board, package)
    assert board.show(UNIT, "FragmentPath").startswith(("/usr/lib/", "/lib/"))
    assert board.show(UNIT, "ActiveState") == "active"

    refused = board.run("/src/scripts/install", "agent", check=False)
    assert refused.returncode != 0
    assert "apt-get remove inarvl-agent" in refused.stderr
    board.run("systemctl", "disable", UNIT)
    installs(board, package)
    assert board.show(UNIT, "UnitFileState") == "disabled"
    assert board.show(UNIT, "ActiveState") == "inactive"


@pytest.mark.parametrize("python", ["3.10", "3.12"])  # JetPack 6 and 7
def test_a_package_for_a_jetson_has_the_locked_versions_and_no_file_for_another_machine(
    wheel: Path, python: str, tmp_path: Path
) -> None:
    package = packaged(wheel, "arm64", python)
    subprocess.run(["dpkg-deb", "--raw-extract", package, tmp_path], check=True)
    fields = dict(re.findall(r"^([\w-]+): (.*)$", (tmp_path / "DEBIAN/control").read_text(), re.MULTILINE))
    assert (fields["Package"], fields["Architecture"]) == (UNIT, "arm64")
    assert fields["Version"].endswith(f"+py{python}")
    assert f"python{python}" in fields["Depends"].split(", ")
    assert (tmp_path / "opt/inarvl/bin/python").readlink() == Path(f"/usr/bin/python{python}")

    site = tmp_path / f"opt/inarvl/lib/python{python}/site-packages"
    tag = re.compile(rf"\.(cpython-{python.replace('.', '')}-aarch64-linux-gnu|abi3)\.so$")
    libraries = [path for path in site.rglob("*") if re.search(r"\.so(\.|$)", path.name)]
    assert len(libraries) > 40
    for library in libraries:
        assert int.from_bytes(library.read_bytes()[18:20], "little") == AARCH64, library
        assert tag.search(library.name) or library.parent.name.endswith(".libs"), library
    wheels = "".join(path.read_text() for path in site.glob("*.dist-info/WHEEL"))
    platforms = re.findall(r"^Tag: [^-]+-[^-]+-(.*)$", wheels, re.MULTILINE)
    assert {name for name in platforms if not name.endswith(("any", "aarch64"))} == set()

    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    lock = (ROOT / "requirements/agent.txt").read_text()
    locked = {
        f"{name.replace('-', '_')}-{version}"
        for name, version, marker in re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", lock, re.MULTILINE)
        if not marker or Marker(marker).evaluate(environment)
    }
    installed = {path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info")}
    assert {name for name in locked - installed if not name.startswith("setuptools-")} == set()
    assert {name for name in installed - locked if not name.startswith("inarvl-")} == set()
