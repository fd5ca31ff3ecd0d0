"""Knowledge from a trace improves predictions on other questions, and is written for agents."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.profile.warm_start import read_warm_start
from constructed import constructed_trace
from controller import Controller
from controller.quality import features
from lab.cli import app
from lab.policies.inarvl import seeded_controller, settings_for
from lab.replay.warm_start import knowledge_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.trace.trace import read_trace, write_trace


@pytest.fixture(scope="module")
def halves() -> tuple[Dataset, Dataset]:
    dataset = prepare(constructed_trace(900), JETSON_WAN)
    return dataset.half("tune"), dataset.half("report")


def log_loss(policy: Controller, dataset: Dataset) -> float:
    """Mean log loss of the predictions whether the board's answers differ from the cloud's."""
    learned, losses = policy._learned, []
    roster = learned.rosters.of(dataset.arms)
    assert roster.home is not None
    for signals, answers in zip(dataset.signals, dataset.answers, strict=True):
        differ = learned.quality.guess(roster, features(signals.vector()), np.zeros(len(roster.arms))).differ
        losses += [
            -np.log(differ[place] if answers[place] != answers[roster.home] else 1.0 - differ[place])
            for place in roster.local
        ]
    return float(np.mean(losses))


def test_knowledge_of_one_half_improves_predictions_on_the_other(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    settings = settings_for(tuning, JETSON_WAN)
    warm = seeded_controller(settings, seed=0, knowledge=knowledge_of(tuning, settings))
    assert log_loss(warm, reported) < log_loss(seeded_controller(settings, seed=0), reported)


def test_the_command_writes_a_warm_start_for_a_controller(tmp_path: Path) -> None:
    trace, out = tmp_path / "trace.csv.gz", tmp_path / "known.json.gz"
    write_trace(trace, constructed_trace(300))
    result = CliRunner().invoke(app, ["warm-start", str(trace), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "300 questions" in result.output
    dataset = prepare(read_trace(trace), JETSON_WAN)
    seeded_controller(settings_for(dataset, JETSON_WAN), seed=0, knowledge=read_warm_start(out))
