"""A leak shows in the readings of a soak, and a heap that breathes does not look like one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.errors import BenchError
from lab.rig.load.resource_growth import FILLING, LEAST_ANSWERS, Growth
from lab.rig.load.resource_log import COLUMNS

RATE = 16


def written(
    folder: Path,
    seconds: int,
    *,
    leak_kb: float = 0.0,
    every_fd: int = 10**9,
    every_thread: int = 10**9,
    refused: int = 0,
) -> Path:
    """A soak in which memory fills, and then swings by 3 MiB for minutes and by 4 MiB for a second.

    For each of RATE answers a second `refused` questions are.
    """
    rng, file = np.random.default_rng(0), folder / "soak.csv"
    lines = [",".join(COLUMNS)]
    for second in range(seconds):
        answered = RATE * second
        filling = 10.0 * min(1.0, answered / FILLING)
        swing = 3.0 * ((second // 70) % 2) + 4.0 * (rng.random() < 0.1)
        rss_mb = 80.0 + filling + swing + leak_kb * answered / 1024
        fds = 20 + answered // every_fd + rng.integers(0, 3)
        threads = 6 + answered // every_thread + rng.integers(0, 4)
        counts = (answered * (1 + refused), answered, answered * refused, 0, 0)
        lines.append(",".join(map(str, (second, rss_mb, fds, threads, 0.0, *counts))))
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(("seconds", "refused"), [(450, 0), (450, 3), (7200, 0)])
@pytest.mark.parametrize("leak_kb", [0.0, 1.0, 4.0])
def test_a_leak_is_told_by_its_size(tmp_path: Path, seconds: int, refused: int, leak_kb: float) -> None:
    growth = Growth.of(written(tmp_path, seconds, leak_kb=leak_kb, refused=refused))
    assert growth is not None
    assert growth.kb_per_answer == pytest.approx(leak_kb, abs=0.25)


def test_descriptors_and_threads_that_stay_behind_are_told(tmp_path: Path) -> None:
    flat = Growth.of(written(tmp_path, 450))
    leaking = Growth.of(written(tmp_path, 450, every_fd=100, every_thread=200))
    assert flat is not None
    assert leaking is not None
    assert max(abs(flat.fds), abs(flat.threads)) <= 1
    assert (leaking.fds > 10, leaking.threads > 5) == (True, True)


@pytest.mark.parametrize("seconds", [FILLING // RATE, (FILLING + LEAST_ANSWERS) // RATE])
def test_nothing_is_told_of_the_time_in_which_memory_fills(tmp_path: Path, seconds: int) -> None:
    assert Growth.of(written(tmp_path, seconds)) is None


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("name,value\na,1\n")
    with pytest.raises(BenchError, match="inarvl-bench soak"):
        Growth.of(file)
