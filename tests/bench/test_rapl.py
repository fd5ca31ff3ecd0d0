"""The processor's energy counters, from a captured tree."""

from pathlib import Path

import pytest

from bench.rapl import Meter, Rapl

RANGE_UJ = 262_143_328_850


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, of which the first has a core domain that is part of it."""
    for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text("1000000\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def use(powercap: Path, zone: str, energy_uj: int) -> None:
    (powercap / zone / "energy_uj").write_text(f"{energy_uj}\n")


def test_packages_are_added_and_their_parts_are_not(powercap: Path) -> None:
    rapl = Rapl.find(powercap)
    assert rapl
    assert rapl.read_j() == 0
    for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        use(powercap, zone, 3_500_000)
    assert rapl.read_j() == 5.0


def test_a_counter_that_wraps_goes_on(powercap: Path) -> None:
    use(powercap, "intel-rapl:0", RANGE_UJ - 1_000_000)
    rapl = Rapl.find(powercap)
    assert rapl
    use(powercap, "intel-rapl:0", 2_000_000)
    assert rapl.read_j() == pytest.approx(3.0)


def test_idle_is_taken_off(powercap: Path) -> None:
    rapl = Rapl.find(powercap)
    assert rapl
    meter = Meter(rapl, idle_w=2.0)
    meter.begin(100.0)
    use(powercap, "intel-rapl:1", 9_000_000)
    assert meter.end(100.5) == pytest.approx(7.0)
    meter.begin(200.0)
    assert meter.end(201.0) == 0.0


def test_a_machine_without_counters(tmp_path: Path) -> None:
    assert Rapl.find(tmp_path) is None
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("not for you")
    (tmp_path / "intel-rapl:0" / "max_energy_range_uj").write_text("1")
    assert Rapl.find(tmp_path) is None
