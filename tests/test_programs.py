"""Every program says its version, and explains a wrong use with exit status 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from inarvl import __version__

PROGRAMS = ("inarvl", "inarvl-vlm", "inarvl-cloud", "inarvl-bench")


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = Path(sys.executable).with_name(program)
    if not path.exists():
        pytest.skip(f"{program} is not installed beside this Python")
    return subprocess.run([path, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_one_line(program: str) -> None:
    done = run(program, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{program} {__version__}\n", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_option_is_a_wrong_use(program: str) -> None:
    done = run(program, "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
