"""A board is recognised by its module and SoC first, then by its name; memory and cores tell variants.

The names and ids are those that owners publish, for example with the results of sbc-bench.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.profile.choice import FALLBACKS, GENERIC, GENERIC_ARM, JETSON, choose_profile
from agent.profile.cpu_list import cpu_list
from agent.profile.identity import BoardIdentity
from agent.profile.loading import bundled, load_profile

NOTHING = Path("/nonexistent")


def board(
    root: Path, model: str, compatible: str = "", *, memory_gb: float, cores: int = 8, **files: str
) -> BoardIdentity:
    """Writes the device tree of a board and reads its identity; `compatible` is separated by spaces."""
    tree = root / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "model").write_bytes(model.encode() + b"\0")
    if compatible:
        (tree / "compatible").write_bytes(compatible.replace(" ", "\0").encode() + b"\0")
    present = root / "sys" / "devices" / "system" / "cpu" / "present"
    present.parent.mkdir(parents=True)
    present.write_text(f"0-{cores - 1}\n")
    for path, content in files.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return replace(BoardIdentity.here(root), memory_gb=memory_gb)


def chosen(identity: BoardIdentity) -> str:
    return choose_profile(identity, NOTHING).name


@pytest.mark.parametrize(
    ("model", "compatible", "memory_gb", "cores", "profile"),
    [
        (
            "NVIDIA Orin Nano Developer Kit",
            "nvidia,p3768-0000+p3767-0005 nvidia,p3767-0003 nvidia,p3767-0005 nvidia,tegra234",
            7.8,
            6,
            "orin-nano-8gb",
        ),
        (
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            "nvidia,p3768-0000+p3767-0005-super nvidia,p3767-0005 nvidia,tegra234",
            7.99,
            6,
            "orin-nano-8gb",
        ),
        (
            "AAEON BOXER-8654AI_RefKit` platform",
            "nvidia,p3767-0003 nvidia,tegra234",
            7.99,
            6,
            "orin-nano-8gb",
        ),
        ("Acme carrier", "acme,c1+p3767-0004 nvidia,p3767-0004 nvidia,tegra234", 3.9, 6, "orin-nano-4gb"),
        (
            "NVIDIA Orin NX Developer Kit",
            "nvidia,p3509-0000+p3767-0000 nvidia,p3767-0000 nvidia,tegra234 nvidia,tegra23x",
            15.9,
            8,
            "orin-nx-16gb",
        ),
        (
            "Acme carrier",
            "nvidia,p3768-0000+p3767-0001 nvidia,p3767-0001 nvidia,tegra234",
            7.9,
            6,
            "orin-nx-8gb",
        ),
        (
            "NVIDIA Orin Jetson-Small Developer Kit",
            "nvidia,p3737-0000+p3701-0000 nvidia,tegra234 nvidia,tegra23x",
            31.4,
            12,
            "agx-orin-devkit-32gb",
        ),
        ("Jetson AGX Orin", "nvidia,p3737-0000+p3701-0000 nvidia,tegra234", 65.9, 12, "agx-orin-64gb"),
        ("reComputer Mini", "nvidia,p3737-0000+p3701-0004 nvidia,tegra234", 32.2, 8, "agx-orin-32gb"),
        ("NVIDIA Jetson AGX Orin", "nvidia,p3737-0000+p3701-0005 nvidia,tegra234", 65.9, 12, "agx-orin-64gb"),
        ("Industrial box", "nvidia,p3737-0000+p3701-0008 nvidia,tegra234", 65.9, 12, "agx-orin-64gb"),
        ("Jetson-AGX", "nvidia,galen nvidia,p2822-0000+p2888-0001 nvidia,tegra194", 33.2, 8, "agx-xavier"),
        ("Clara-AGX", "nvidia,e3900-0000+p2888-0004 nvidia,tegra194", 33.2, 8, "agx-xavier"),
        (
            "NVIDIA Jetson Xavier NX Developer Kit",
            "nvidia,p3449-0000+p3668-0000 nvidia,p3509-0000+p3668-0001 nvidia,tegra194",
            8.1,
            6,
            "xavier-nx",
        ),
        ("Leetop", "nvidia,p4071-0000+p3834-0008 nvidia,p3834-0008 nvidia,tegra264", 131.0, 14, "thor"),
        ("Leetop", "nvidia,p4071-0000+p3834-0000 nvidia,p3834-0000 nvidia,tegra264", 66.0, 12, "thor-t4000"),
        ("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi,4-model-b brcm,bcm2711", 4.1, 4, "raspberry-pi-4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b brcm,bcm2712", 8.4, 4, "raspberry-pi-5"),
        ("RK3588 OPi 5 Max", "xunlong,orangepi-5-max rockchip,rk3588", 16.3, 8, "rk3588"),
        ("Orange Pi 5", "xunlong,orangepi-5 rockchip,rk3588s", 8.2, 8, "rk3588"),
        ("Turing Machines RK1", "turing,rk1 rockchip,rk3588", 16.1, 8, "rk3588"),
    ],
)
def test_a_board_is_recognised_by_its_module_and_soc(
    tmp_path: Path, model: str, compatible: str, memory_gb: float, cores: int, profile: str
) -> None:
    assert chosen(board(tmp_path, model, compatible, memory_gb=memory_gb, cores=cores)) == profile


@pytest.mark.parametrize(
    ("model", "memory_gb", "cores", "profile"),
    [
        ("NVIDIA Jetson Orin Nano Developer Kit", 7.99, 6, "orin-nano-8gb"),
        ("NVIDIA Jetson Orin Nano Developer Kit", 3.9, 6, "orin-nano-4gb"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", 16.4, 8, "orin-nx-16gb"),
        ("NVIDIA Orin NX Developer Kit", 7.9, 6, "orin-nx-8gb"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 65.9, 12, "agx-orin-64gb"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 32.0, 8, "agx-orin-32gb"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 31.4, 12, "agx-orin-devkit-32gb"),
        ("NVIDIA Orin Jetson-Small Developer Kit", 31.4, 12, "agx-orin-devkit-32gb"),
        ("NVIDIA Jetson Xavier NX Developer Kit", 7.9, 6, "xavier-nx"),
        ("NVIDIA Jetson AGX Xavier Industrial", 66.0, 8, "agx-xavier"),
        ("NVIDIA Jetson AGX Thor Developer Kit", 131.0, 14, "thor"),
        ("NVIDIA Jetson Nano Developer Kit", 4.1, 4, JETSON),
        ("Raspberry Pi 3 Model B", 0.9, 4, GENERIC_ARM),
        ("\N{LATIN SMALL LETTER Y WITH DIAERESIS}", 8.0, 4, GENERIC_ARM),
    ],
)
def test_a_board_without_compatible_is_recognised_by_its_name_and_memory(
    tmp_path: Path, model: str, memory_gb: float, cores: int, profile: str
) -> None:
    assert chosen(board(tmp_path, model, memory_gb=memory_gb, cores=cores)) == profile


@pytest.mark.parametrize(
    ("compatible", "memory_gb", "cores", "profile"),
    [
        ("acme,robot acme,p9999-0001 nvidia,tegra234", 3.9, 6, "orin-nano-4gb"),
        ("acme,robot nvidia,tegra234", 7.9, 6, "orin-nano-8gb"),
        ("acme,robot nvidia,tegra234", 16.2, 8, "orin-nx-16gb"),
        ("acme,robot nvidia,tegra234", 32.1, 8, "agx-orin-32gb"),
        ("acme,robot nvidia,tegra234", 65.0, 12, "agx-orin-64gb"),
        ("acme,robot nvidia,tegra264", 131.0, 14, "thor"),
        ("acme,robot nvidia,tegra194", 16.1, 6, "xavier-nx"),
        ("nvidia,p3449-0000-b00+p3448-0000-b00 nvidia,jetson-nano nvidia,tegra210", 4.1, 4, JETSON),
        ("nvidia,p9999-0000+p9998-0000 nvidia,tegra300", 200.0, 20, JETSON),
        ("acme,board allwinner,sun50i-h6", 2.1, 4, GENERIC_ARM),
    ],
)
def test_an_unknown_board_gets_a_profile_of_its_soc_or_a_fallback_of_its_kind(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    compatible: str,
    memory_gb: float,
    cores: int,
    profile: str,
) -> None:
    assert chosen(board(tmp_path, "Acme Robot", compatible, memory_gb=memory_gb, cores=cores)) == profile
    assert ("whose power is an estimate" in caplog.text) == (profile in FALLBACKS)


def test_the_module_counts_more_than_a_name_that_contradicts_it(tmp_path: Path) -> None:
    compatible = "nvidia,p3768-0000+p3767-0003 nvidia,p3767-0003 nvidia,tegra234"
    assert chosen(board(tmp_path, "Orin NX to Orin Nano kit", compatible, memory_gb=7.9)) == "orin-nano-8gb"


def test_a_name_does_not_count_if_the_soc_is_another(tmp_path: Path) -> None:
    assert chosen(board(tmp_path, "Thor of Asgard", "acme,thor rockchip,rk3588", memory_gb=130.0)) == "rk3588"


@pytest.mark.parametrize(
    ("files", "profile"),
    [
        ({"sys__devices__soc0__family": "Tegra\n", "sys__devices__soc0__soc_id": "35\n"}, "orin-nano-8gb"),
        ({"sys__devices__soc0__family": "Tegra\n", "sys__devices__soc0__soc_id": "99\n"}, JETSON),
        ({"etc__nv_tegra_release": "# R36 (release), REVISION: 4.3, BOARD: generic\n"}, JETSON),
        ({}, GENERIC),
    ],
)
def test_a_container_that_hides_the_device_tree_is_recognised_by_the_kernels_soc(
    tmp_path: Path, files: dict[str, str], profile: str
) -> None:
    identity = board(tmp_path, "", memory_gb=7.9, **files)
    assert chosen(identity) == profile


def test_cores_that_a_power_mode_switches_off_still_count(tmp_path: Path) -> None:
    files = {"sys__devices__system__cpu__online": "0-3\n"}
    identity = board(tmp_path, "NVIDIA Jetson AGX Orin Developer Kit", memory_gb=31.4, cores=12, **files)
    assert identity.cores == 12
    assert chosen(identity) == "agx-orin-devkit-32gb"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,6", {0, 1, 2, 3, 6}),
        ("0", {0}),
        ("", set()),
        ("0-", set()),
        ("0-99999999999", set()),
        ("9" * 5000, set()),
        ("x", set()),
        ("0-3\n", {0, 1, 2, 3}),
    ],
)
def test_the_kernels_lists_of_cpus_are_read(text: str, cpus: set[int]) -> None:
    assert cpu_list(text) == cpus


@pytest.mark.parametrize(
    ("vendor", "kind", "profile"),
    [
        ("0x10de", "0x030000", "x86-nvidia"),
        ("0x10de", "0x030200", "x86-nvidia"),
        ("0x10de", "0x040300", GENERIC),  # the sound of a card
        ("0x8086", "0x030000", GENERIC),
    ],
)
def test_a_pc_is_told_apart_by_its_graphics_card(
    tmp_path: Path, vendor: str, kind: str, profile: str
) -> None:
    device = tmp_path / "sys" / "bus" / "pci" / "devices" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    assert chosen(BoardIdentity.here(tmp_path)) == profile


def test_a_jetson_with_a_graphics_card_stays_a_jetson(tmp_path: Path) -> None:
    gpu = {"sys__bus__pci__devices__1__vendor": "0x10de", "sys__bus__pci__devices__1__class": "0x030000"}
    identity = board(
        tmp_path, "Clara-AGX", "nvidia,e3900-0000+p2888-0004 nvidia,tegra194", memory_gb=33, **gpu
    )
    assert identity.gpus == {"nvidia"}
    assert chosen(identity) == "agx-xavier"


def test_memory_is_read_from_the_boards_own_files(tmp_path: Path) -> None:
    meminfo = {"proc__meminfo": "MemTotal:        7802780 kB\nMemAvailable:    5123456 kB\n"}
    board(tmp_path, "x", memory_gb=0, **meminfo)
    assert BoardIdentity.here(tmp_path).memory_gb == pytest.approx(7.99, abs=0.01)


def test_a_board_without_a_device_tree_is_generic(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(BoardIdentity.here(tmp_path)) == GENERIC
    assert "whose power is an estimate" in caplog.text


def test_a_profile_of_the_site_for_another_board_of_the_same_soc_does_not_fit(tmp_path: Path) -> None:
    """Its conditions replace those of the profile that it extends: a shared folder serves a mixed fleet."""
    (tmp_path / "gate.yaml").write_text(
        "name: gate\nextends: orin-nano-8gb\nmatch: {model: Gate 7, cores: 6, memory_gb: 7.5}\n"
    )
    tree = "nvidia,p3767-0003 nvidia,tegra234"
    nano = board(tmp_path / "1", "AAEON BOXER", tree, memory_gb=7.9, cores=6)
    assert choose_profile(nano, tmp_path).name == "orin-nano-8gb"
    gate = board(tmp_path / "2", "Acme Gate 7", tree, memory_gb=7.9, cores=6)
    assert choose_profile(gate, tmp_path).name == "gate"


def test_a_profile_of_the_site_inherits_the_module_but_is_not_for_every_board_of_its_soc(
    tmp_path: Path,
) -> None:
    (tmp_path / "gate.yaml").write_text("name: gate\nextends: orin-nano-8gb\npower: {idle_w: 4.2}\n")
    nano = board(tmp_path / "1", "AAEON", "nvidia,p3767-0003 nvidia,tegra234", memory_gb=7.9, cores=6)
    assert choose_profile(nano, tmp_path).name == "gate"
    agx = board(tmp_path / "2", "AGX", "nvidia,p3701-0005 nvidia,tegra234", memory_gb=65, cores=12)
    assert choose_profile(agx, tmp_path).name == "agx-orin-64gb"
    unknown = board(tmp_path / "3", "Acme", "acme,robot nvidia,tegra234", memory_gb=65, cores=12)
    assert choose_profile(unknown, tmp_path).name == "agx-orin-64gb"


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_profile_that_can_be_found_says_how(name: str) -> None:
    match = load_profile(name).match
    assert (name in (GENERIC, GENERIC_ARM)) == (not match.module and not match.soc and match.gpu is None)
