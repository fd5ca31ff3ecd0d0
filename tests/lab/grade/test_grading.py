"""Grades of a generated trace with known accuracies."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.signals import FEATURES
from lab.cli import app
from lab.grade.calibration import confidence_matrix, out_of_fold
from lab.grade.complementarity import complementarity
from lab.grade.grade_tables import markdown, table
from lab.grade.grading import ALL, Grades, grade
from lab.probabilities import calibration_error
from lab.trace.trace import Run, Trace, TracedQuestion, write_trace

pytest.importorskip("sklearn", reason="the bench extra is not installed")

COUNT = 900


def run(right: bool, margin: float, **changed: object) -> Run:
    default = Run("red", right, margin, math.log(margin), 1, 30.0, 20.0, 0.3, "modelled", 4000)
    return replace(default, **changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def generated() -> Trace:
    """Three questions per image; one model's margin is its probability to be right, the other's is noise.

    The first model is better at colours, the second at counts.
    """
    rng = np.random.default_rng(1)
    questions = tuple(
        TracedQuestion(
            str(n), f"image {n // 3}", ("colour", "count")[n % 2], "?", "red", rng.random(len(FEATURES))
        )
        for n in range(COUNT)
    )
    margins = rng.uniform(0.05, 1.0, COUNT)
    honest = tuple(
        run(bool(rng.random() < margin ** (1, 3)[n % 2]), float(margin)) for n, margin in enumerate(margins)
    )
    noisy = tuple(run(bool(rng.random() < (0.2, 0.9)[n % 2]), rng.uniform(0.05, 1.0)) for n in range(COUNT))
    return Trace(questions, {"local/honest@64": honest, "local/noisy@64": noisy})


@pytest.fixture(scope="module")
def grades(generated: Trace) -> Grades:
    return grade(generated, np.random.default_rng(0))


def test_accuracy_and_chance(generated: Trace, grades: Grades) -> None:
    rights = np.array([bool(one and one.correct) for one in generated.runs["local/noisy@64"]])
    assert grades.types == ("colour", "count", ALL)
    assert grades.grades["local/noisy@64", ALL].accuracy == rights.mean()
    assert grades.grades["local/noisy@64", "count"].accuracy == rights[1::2].mean()
    assert grades.grades["local/noisy@64", "count"].count == COUNT // 2
    assert grades.chance == {"colour": 1.0, "count": 1.0, ALL: 1.0}
    # 1.96 standard errors of a share, groups of three being nearly independent here
    expected = 1.96 * math.sqrt(rights.mean() * (1 - rights.mean()) / COUNT)
    assert grades.grades["local/noisy@64", ALL].accuracy_pm == pytest.approx(expected, rel=0.35)


def test_informative_and_random_confidences_get_different_grades(grades: Grades) -> None:
    honest, noisy = grades.grades["local/honest@64", ALL], grades.grades["local/noisy@64", "colour"]
    assert honest.margin == honest.mean_logprob > 0.7
    assert abs(noisy.margin - 0.5) < 0.1
    assert honest.length == 0.5  # every answer is one token long
    assert honest.confidence > 0.7
    assert honest.ece < 0.08


def test_probabilities_are_cross_validated_by_group() -> None:
    """A feature that identifies the group has no value for groups outside the fit."""
    rng = np.random.default_rng(3)
    groups = [str(n // 4) for n in range(400)]
    right = np.repeat(rng.random(100) < 0.5, 4)
    x = np.eye(100)[np.repeat(np.arange(100), 4)]
    probability = out_of_fold(x, right, groups)
    assert np.corrcoef(probability, right)[0, 1] < 0.2


def test_without_enough_data_there_is_no_figure() -> None:
    x = np.zeros((12, 4))
    few = out_of_fold(x, np.array([True, False] * 6), [str(n // 4) for n in range(12)])
    certain = out_of_fold(np.zeros((40, 4)), np.ones(40, bool), [str(n) for n in range(40)])
    assert np.isnan(few).all()
    assert np.isnan(certain).all()
    assert math.isnan(calibration_error(few, np.array([True] * 12)))


def test_calibration_error_is_the_mean_difference() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random(20_000)
    right = rng.random(20_000) < probability
    assert calibration_error(probability, right) < 0.02
    assert calibration_error(np.full(20_000, 0.9), rng.random(20_000) < 0.6) == pytest.approx(0.3, abs=0.02)


def test_answers_without_confidence_are_graded_without_it(generated: Trace) -> None:
    without_confidence = tuple(
        one and replace(one, margin=None, mean_logprob=None, tokens=None)
        for one in generated.runs["local/noisy@64"]
    )
    graded = grade(
        Trace(generated.questions, {"cloud/without_confidence@64": without_confidence}),
        np.random.default_rng(0),
    )
    graded_all = graded.grades["cloud/without_confidence@64", ALL]
    assert math.isnan(graded_all.margin)
    assert graded_all.accuracy > 0
    assert graded.costs["cloud/without_confidence@64"].tokens is None
    assert not confidence_matrix([one for one in without_confidence if one]).any()


def test_complementarity_of_two_models(generated: Trace) -> None:
    pair = complementarity(generated, "local")
    assert pair
    rights = [np.array([bool(r and r.correct) for r in runs]) for runs in generated.runs.values()]
    assert pair.union == (rights[0] | rights[1]).mean()
    assert pair.best == max(right.mean() for right in rights)
    assert pair.lead["local/honest@64", "local/noisy@64"][0] == "colour"
    assert pair.lead["local/noisy@64", "local/honest@64"][0] == "count"
    assert complementarity(generated, "cloud") is None


def test_only_the_best_resolution_of_a_model_is_compared(generated: Trace) -> None:
    honest, noisy = generated.runs["local/honest@64"], generated.runs["local/noisy@64"]
    wrong = tuple(one and replace(one, correct=False) for one in honest)
    runs = {"local/honest@32": wrong, "local/honest@64": honest, "local/noisy@64": noisy}
    pair = complementarity(Trace(generated.questions, runs), "local")
    assert pair
    assert pair.arms == ("local/honest@64", "local/noisy@64")


def test_missing_runs_are_ignored(trace: Callable[[int], Trace]) -> None:
    made = trace(70)
    graded = grade(made, np.random.default_rng(0))
    assert graded.grades["local/small@64", ALL].count == 60
    assert graded.costs["local/small@64"].energy_sources == "measured/modelled"


def test_the_markdown_and_csv_contain_the_grades(generated: Trace, grades: Grades) -> None:
    report = markdown(grades, [pair for pair in [complementarity(generated, "local")] if pair])
    noisy = grades.grades["local/noisy@64", ALL]
    assert f"{noisy.accuracy:.1%} ± {noisy.accuracy_pm * 100:.1f}" in report
    assert "| local/honest@64 | 20.0 | 20.0 | 30.0 | 4.0 | 1.0 | 0.300 modelled |" in report
    assert "is best relative to local/noisy@64 on colour" in report
    rows = list(csv.DictReader(io.StringIO(table(grades))))
    assert len(rows) == 6
    assert float(rows[-1]["accuracy"]) == pytest.approx(noisy.accuracy, rel=1e-5)
    assert rows[0]["accuracy_pm"] == ""


def test_the_command_grades_only_the_named_models(generated: Trace, tmp_path: Path) -> None:
    path, figures = tmp_path / "t.csv.gz", tmp_path / "grades.csv"
    write_trace(path, generated)
    ran = CliRunner().invoke(app, ["grade", str(path), "--model", "noisy", "--csv", str(figures)])
    assert ran.exit_code == 0, ran.output
    assert "local/noisy@64" in ran.output
    assert "honest" not in ran.output
    assert "local/noisy@64,count," in figures.read_text()
    other = CliRunner().invoke(app, ["grade", str(path), "--model", "other"])
    assert other.exit_code == 2
    assert "it has honest, noisy" in " ".join(other.output.replace("│", " ").split())
