"""The files in container/ agree with the product, the access list and each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.config.settings import load_settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def mounts(service: str) -> dict[str, str]:
    """What a service sees, by the path in its container."""
    pairs = (volume.split(":")[:2] for volume in SERVICES[service]["volumes"])
    return {inside: outside for outside, inside in pairs}


def test_the_image_is_built_from_every_package_of_the_product() -> None:
    (listed,) = re.findall(r"^include = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    packages = set(re.findall(r'"(\w+)\*"', listed))
    assert len(packages) > 4
    assert set(re.findall(r"^COPY (\w+) /source/\1$", DOCKERFILE, re.MULTILINE)) == packages


def test_the_agent_of_the_image_is_not_root_and_keeps_its_state_in_a_volume() -> None:
    (user,) = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert f"--uid {user}" in DOCKERFILE
    assert f"chown {user} mqtt.password" in (ROOT / "docs/deploy.md").read_text()
    assert mounts("agent")[str(load_settings(FOLDER / "agent.yaml").state_dir)] == "state"


def test_the_site_file_names_the_broker_and_a_user_of_the_access_list() -> None:
    settings = load_settings(FOLDER / "agent.yaml")
    assert settings.broker.host in SERVICES
    assert settings.broker.username == settings.device
    acl = (ROOT / "docs/mosquitto/inarvl.acl").read_text()
    assert re.search(
        rf"^user {settings.device}\ntopic readwrite inarvl/{settings.device}/#$", acl, re.MULTILINE
    )
    assert str(settings.broker.password_file) in mounts("agent")


@pytest.mark.parametrize("service", ["mosquitto", "agent"])
def test_every_file_that_is_mounted_exists_or_is_made_by_the_commands_of_the_page(service: str) -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    for outside in mounts(service).values():
        if outside.startswith("./secrets/"):
            assert f" {Path(outside).name} " in page
        elif outside.startswith("."):
            assert (FOLDER / outside).is_file()


def test_the_broker_finds_the_files_that_its_configuration_names() -> None:
    named = re.findall(
        r"^(?:password|acl)_file (.*)$", (ROOT / "docs/mosquitto/inarvl.conf").read_text(), re.M
    )
    assert set(named) <= set(mounts("mosquitto"))
    assert len(named) == 2
