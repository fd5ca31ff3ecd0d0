"""What is installed is locked with hashes, not older than is safe, and listed with its licence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ("agent", "vlm", "torch", "dev")
ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
PLATFORMS = [
    {"platform_machine": machine, "python_version": version, "python_full_version": f"{version}.5"}
    for machine in ("x86_64", "aarch64")
    for version in ("3.10", "3.11", "3.12", "3.13")
]
TOOL = Path(sys.executable).with_name("cyclonedx-py")


def declared(extra: str = "") -> list[Requirement]:
    """What an installation with `extra` needs, as pyproject.toml says it."""
    section = extra if extra else "dependencies"
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(rf"^{section} = \[(.*?)\]$", text, re.M | re.S)[0]
    return [Requirement(name) for name in re.findall(r'"([^"]+)"', listed)]


def locked(lock: str, platform: dict[str, str]) -> dict[str, Version]:
    """The versions that a lock has for a platform."""
    environment = {**default_environment(), "sys_platform": "linux", **platform}
    return {
        canonicalize_name(name): Version(version)
        for name, version, marker, _ in ENTRY.findall((ROOT / "requirements" / f"{lock}.txt").read_text())
        if not marker or Requirement(f"x ; {marker}").marker.evaluate(environment)  # type: ignore[union-attr]
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_an_exact_version_and_hashes_for_every_package_and_names_no_host(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    rest = re.sub(r"^#.*\n", "", ENTRY.sub("", text), flags=re.M)
    assert rest.strip() == ""
    assert "://" not in text


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda one: " ".join(list(one.values())[:2]))
def test_a_lock_has_all_that_its_part_needs_on_each_platform(platform: dict[str, str]) -> None:
    agent, vlm, torch, dev = (locked(lock, platform) for lock in LOCKS)
    for requirement in declared():
        assert agent[canonicalize_name(requirement.name)] in requirement.specifier
    for requirement in declared("vlm"):
        where = torch if requirement.name == "torch" else vlm
        assert where[canonicalize_name(requirement.name)] in requirement.specifier
    for requirement in declared("dev"):
        assert dev[canonicalize_name(requirement.name)] in requirement.specifier
    assert agent.items() <= vlm.items() <= dev.items()


@pytest.mark.parametrize("lock", ["agent", "vlm", "dev"])
def test_no_lock_but_its_own_replaces_the_torch_of_a_jetson(lock: str) -> None:
    for platform in PLATFORMS:
        assert not [
            name for name in locked(lock, platform) if name in ("torch", "triton") or "nvidia" in name
        ]


@pytest.mark.parametrize("jetpack", ["2.5.0a0+872d972e41.nv24.08", "2.8.0", "2.9.0a0+50eac811a6.nv25.09"])
def test_the_torch_of_jetpack_is_new_enough_for_pip(jetpack: str) -> None:
    """Else pip puts the ordinary build, without the Jetson's CUDA, over it."""
    (torch,) = [one for one in declared("vlm") if one.name == "torch"]
    assert torch.specifier.contains(Version(jetpack))


def test_the_page_has_the_lowest_version_of_every_package() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\d[\d.a]*) \|", text, re.M))
    needed = {
        one.name: [bound.version for bound in one.specifier if bound.operator == ">="]
        for one in (*declared(), *declared("vlm"))
    }
    assert needed == {name: [rows.get(name)] for name in needed}


def test_the_list_of_licences_is_that_of_the_installed_packages() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "licences")]
    printed = subprocess.run(script, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout == (ROOT / "docs" / "licences.md").read_text()


def installed(*roots: str) -> set[str]:
    """The packages that these need here, with what those need."""
    found, waiting = set[str](), [Requirement(root) for root in roots]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found and not one.extras:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        extras = [*one.extras, ""]
        waiting += [
            Requirement(re.sub(r";.*", "", line))
            for line in needed
            if (marker := Requirement(line).marker) is None
            or any(marker.evaluate({"extra": extra}) for extra in extras)
        ]
        one.extras.clear()
    return found


def test_every_package_that_is_installed_with_inarvl_is_in_the_list_of_licences() -> None:
    listed = set(re.findall(r"^\| ([a-z0-9*-]+) \|", (ROOT / "docs" / "licences.md").read_text(), re.M))
    needed = installed(*(str(one) for one in (*declared(), *declared("vlm"))))
    assert {"aiohttp", "transformers", "zeroconf"} <= needed
    assert {name for name in needed if not name.startswith(("nvidia-", "cuda-"))} <= listed


@pytest.mark.parametrize(
    ("package", "terms"), [("jetson-stats", "AGPL-3.0"), ("zeroconf", "LGPL-2.1-or-later")]
)
def test_the_licences_that_oblige_who_passes_on_an_installation_are_explained(
    package: str, terms: str
) -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    assert re.search(rf"^\| {package} \|.*\| {terms} \|$", text, re.M)
    assert re.search(rf"^- \*\*{package} is under the {terms[:4]}", text, re.M)


@pytest.mark.skipif(not TOOL.exists(), reason="cyclonedx-bom is not installed (scripts/setup dev)")
def test_the_bill_of_materials_is_valid_and_has_every_package(tmp_path: Path) -> None:
    file = tmp_path / "inarvl.cdx.json"
    written = subprocess.run(
        [ROOT / "scripts" / "sbom", file, sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env={"SBOM_PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
    )
    assert written.returncode == 0, written.stderr
    bill = json.loads(file.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    names = {canonicalize_name(component["name"]) for component in bill["components"]}
    assert installed(*(str(one) for one in declared())) <= names
