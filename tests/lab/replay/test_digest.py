"""A digest identifies all decisions and figures of a replay."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from constructed import constructed_trace
from lab.cli import app
from lab.trace.trace import write_trace


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "constructed.csv.gz"
    write_trace(path, constructed_trace(300))
    return path


def digests(path: Path) -> list[list[str]]:
    """The words of each line: policy, script, seed and digest."""
    options = ["--digest", "--policy", "inarvl-cold", "--policy", "random", "--seeds", "2", "--count", "40"]
    result = CliRunner().invoke(app, ["replay", str(path), *options, "--processes", "1"])
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.output.splitlines()]


def test_the_same_seed_gives_the_same_digest_and_another_seed_another(path: Path) -> None:
    lines = digests(path)
    assert lines == digests(path)
    assert [line[:3] for line in lines] == [
        [policy, "steady", seed] for policy in ("inarvl-cold", "random") for seed in ("0", "1")
    ]
    assert len({line[3] for line in lines}) == 4
