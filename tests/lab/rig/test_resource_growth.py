"""Leaks show in the readings of a soak; variation of the heap and a busy machine do not look like leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.errors import BenchError
from lab.rig.load.resource_growth import MIN_ANSWERS, WARM_UP_ANSWERS, ResourceGrowth
from lab.rig.load.resource_log import COLUMNS

RATE = 16
JUDGED_S = 200  # of a soak of 450 s, after the warm-up


def write_soak(
    folder: Path,
    seconds: int,
    *,
    leak_kb: float = 0.0,
    answers_per_fd: int = 10**9,
    answers_per_thread: int = 10**9,
    refused: int = 0,
    busy_s: range = range(0),
    step_s: int = 10**9,
) -> Path:
    """A soak whose memory fills at first, and then varies by 3 MiB over minutes and by 4 MiB for a second.

    Args:
        refused: Queries that are refused for each of RATE answers per second.
        busy_s: Seconds in which a busy machine raises all readings.
        step_s: Second of a single step of the heap.
    """
    rng, file = np.random.default_rng(0), folder / "soak.csv"
    lines = [",".join(COLUMNS)]
    for second in range(seconds):
        answered = RATE * second
        busy = second in busy_s
        warm_up = 10.0 * min(1.0, answered / WARM_UP_ANSWERS)
        variation = 3.0 * ((second // 70) % 2) + 4.0 * (rng.random() < 0.1) + busy * rng.uniform(0, 6)
        rss_mb = 80.0 + warm_up + variation + 2.0 * (second >= step_s) + leak_kb * answered / 1024
        fds = 20 + answered // answers_per_fd + rng.integers(0, 3) + 6 * busy
        threads = 6 + answered // answers_per_thread + rng.integers(0, 4) + 6 * busy
        counts = (answered * (1 + refused), answered, answered * refused, 0, 0)
        lines.append(",".join(map(str, (second, rss_mb, fds, threads, 0.0, *counts))))
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(("seconds", "refused"), [(450, 0), (450, 3), (7200, 0)])
@pytest.mark.parametrize("leak_kb", [0.0, 1.0, 4.0])
def test_memory_growth_is_the_leak_per_answer(
    tmp_path: Path, seconds: int, refused: int, leak_kb: float
) -> None:
    growth = ResourceGrowth.of(write_soak(tmp_path, seconds, leak_kb=leak_kb, refused=refused))
    assert growth is not None
    assert growth.kb_per_answer == pytest.approx(leak_kb, abs=0.25)


@pytest.mark.parametrize("leak_kb", [0.0, 1.0])
@pytest.mark.parametrize("at", [0.25, 0.5, 0.75])
def test_a_single_step_of_the_heap_does_not_look_like_a_leak(
    tmp_path: Path, at: float, leak_kb: float
) -> None:
    step_s = 450 - int(JUDGED_S * (1 - at))
    growth = ResourceGrowth.of(write_soak(tmp_path, 450, leak_kb=leak_kb, step_s=step_s))
    assert growth is not None
    assert leak_kb - 0.25 < growth.kb_per_answer < leak_kb + 0.6


@pytest.mark.parametrize("leak_kb", [0.0, 1.0])
def test_a_machine_that_becomes_busy_does_not_look_like_a_leak(tmp_path: Path, leak_kb: float) -> None:
    """It is idle again for the last 20 s, as at the end of every soak."""
    growth = ResourceGrowth.of(write_soak(tmp_path, 450, leak_kb=leak_kb, busy_s=range(350, 430)))
    assert growth is not None
    assert leak_kb - 0.25 < growth.kb_per_answer < leak_kb + 0.6
    assert max(abs(growth.fds), abs(growth.threads)) <= 1


def test_leaked_descriptors_and_threads_are_counted(tmp_path: Path) -> None:
    flat = ResourceGrowth.of(write_soak(tmp_path, 450))
    leaking = ResourceGrowth.of(write_soak(tmp_path, 450, answers_per_fd=100, answers_per_thread=200))
    assert flat is not None
    assert leaking is not None
    assert max(abs(flat.fds), abs(flat.threads)) <= 1
    assert (leaking.fds > 10, leaking.threads > 5) == (True, True)


@pytest.mark.parametrize("seconds", [WARM_UP_ANSWERS // RATE, (WARM_UP_ANSWERS + MIN_ANSWERS) // RATE])
def test_the_warm_up_has_no_growth(tmp_path: Path, seconds: int) -> None:
    assert ResourceGrowth.of(write_soak(tmp_path, seconds)) is None


def test_a_file_without_readings_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("name,value\na,1\n")
    with pytest.raises(BenchError, match="inarvl-bench soak"):
        ResourceGrowth.of(file)
