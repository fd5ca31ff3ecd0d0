"""Grades of a made-up trace whose truth is known."""

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
from lab.grade.calibration import calibration_error, confidence_matrix, out_of_fold
from lab.grade.complementarity import together
from lab.grade.grade_tables import markdown, table
from lab.grade.grading import ALL, Grades, grade
from lab.trace.trace import Run, Trace, TracedQuestion, write

pytest.importorskip("sklearn", reason="the bench extra is not installed")

COUNT = 900


def run(right: bool, margin: float, **changed: object) -> Run:
    told = Run("red", right, margin, math.log(margin), 1, 30.0, 20.0, 0.3, "modelled", 4000)
    return replace(told, **changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def told() -> Trace:
    """Three questions to an image; one model's margin is its chance to be right, the other's is noise.

    Of colours the first is right more often, of counts the second.
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
def grades(told: Trace) -> Grades:
    return grade(told, np.random.default_rng(0))


def test_accuracy_and_chance(told: Trace, grades: Grades) -> None:
    rights = np.array([bool(one and one.correct) for one in told.runs["local/noisy@64"]])
    assert grades.types == ("colour", "count", ALL)
    assert grades.grades["local/noisy@64", ALL].accuracy == rights.mean()
    assert grades.grades["local/noisy@64", "count"].accuracy == rights[1::2].mean()
    assert grades.grades["local/noisy@64", "count"].count == COUNT // 2
    assert grades.chance == {"colour": 1.0, "count": 1.0, ALL: 1.0}
    # 1.96 standard errors of a share, groups of three being nearly independent here
    expected = 1.96 * math.sqrt(rights.mean() * (1 - rights.mean()) / COUNT)
    assert grades.grades["local/noisy@64", ALL].accuracy_pm == pytest.approx(expected, rel=0.35)


def test_confidence_that_tells_is_told_from_noise(grades: Grades) -> None:
    honest, noisy = grades.grades["local/honest@64", ALL], grades.grades["local/noisy@64", "colour"]
    assert honest.margin == honest.mean_logprob > 0.7
    assert abs(noisy.margin - 0.5) < 0.1
    assert honest.length == 0.5  # every answer is one token long
    assert honest.confidence > 0.7
    assert honest.ece < 0.08


def test_probabilities_are_cross_validated_by_group() -> None:
    """A feature that names the group says nothing of groups that were not seen."""
    rng = np.random.default_rng(3)
    groups = [str(n // 4) for n in range(400)]
    right = np.repeat(rng.random(100) < 0.5, 4)
    x = np.eye(100)[np.repeat(np.arange(100), 4)]
    told = out_of_fold(x, right, groups)
    assert np.corrcoef(told, right)[0, 1] < 0.2


def test_too_little_to_learn_from_gives_no_figure() -> None:
    x = np.zeros((12, 4))
    few = out_of_fold(x, np.array([True, False] * 6), [str(n // 4) for n in range(12)])
    certain = out_of_fold(np.zeros((40, 4)), np.ones(40, bool), [str(n) for n in range(40)])
    assert np.isnan(few).all()
    assert np.isnan(certain).all()
    assert math.isnan(calibration_error(few, np.array([True] * 12)))


def test_calibration_error_is_the_mean_gap() -> None:
    rng = np.random.default_rng(2)
    probability = rng.random(20_000)
    right = rng.random(20_000) < probability
    assert calibration_error(probability, right) < 0.02
    assert calibration_error(np.full(20_000, 0.9), rng.random(20_000) < 0.6) == pytest.approx(0.3, abs=0.02)


def test_an_answer_without_confidence_is_graded_without(told: Trace) -> None:
    silent = tuple(
        one and replace(one, margin=None, mean_logprob=None, tokens=None)
        for one in told.runs["local/noisy@64"]
    )
    graded = grade(Trace(told.questions, {"cloud/silent@64": silent}), np.random.default_rng(0))
    graded_all = graded.grades["cloud/silent@64", ALL]
    assert math.isnan(graded_all.margin)
    assert graded_all.accuracy > 0
    assert graded.costs["cloud/silent@64"].tokens is None
    assert not confidence_matrix([one for one in silent if one]).any()


def test_what_models_can_do_together(told: Trace) -> None:
    pair = together(told, "local")
    assert pair
    rights = [np.array([bool(r and r.correct) for r in runs]) for runs in told.runs.values()]
    assert pair.union == (rights[0] | rights[1]).mean()
    assert pair.best == max(right.mean() for right in rights)
    assert pair.lead["local/honest@64", "local/noisy@64"][0] == "colour"
    assert pair.lead["local/noisy@64", "local/honest@64"][0] == "count"
    assert together(told, "cloud") is None


def test_only_the_best_resolution_of_a_model_stands_for_it(told: Trace) -> None:
    honest, noisy = told.runs["local/honest@64"], told.runs["local/noisy@64"]
    wrong = tuple(one and replace(one, correct=False) for one in honest)
    runs = {"local/honest@32": wrong, "local/honest@64": honest, "local/noisy@64": noisy}
    pair = together(Trace(told.questions, runs), "local")
    assert pair
    assert pair.arms == ("local/honest@64", "local/noisy@64")


def test_runs_that_are_missing_are_left_out(trace: Callable[[int], Trace]) -> None:
    made = trace(70)
    graded = grade(made, np.random.default_rng(0))
    assert graded.grades["local/small@64", ALL].count == 60
    assert graded.costs["local/small@64"].energy_sources == "measured/modelled"


def test_the_report_says_what_was_graded(told: Trace, grades: Grades) -> None:
    report = markdown(grades, [pair for pair in [together(told, "local")] if pair])
    noisy = grades.grades["local/noisy@64", ALL]
    assert f"{noisy.accuracy:.1%} ± {noisy.accuracy_pm * 100:.1f}" in report
    assert "| local/honest@64 | 20.0 | 20.0 | 30.0 | 4.0 | 1.0 | 0.300 modelled |" in report
    assert "leads local/noisy@64 by most on colour" in report
    rows = list(csv.DictReader(io.StringIO(table(grades))))
    assert len(rows) == 6
    assert float(rows[-1]["accuracy"]) == pytest.approx(noisy.accuracy, rel=1e-5)
    assert rows[0]["accuracy_pm"] == ""


def test_the_command_grades_the_models_it_is_told_to(told: Trace, tmp_path: Path) -> None:
    path, figures = tmp_path / "t.csv.gz", tmp_path / "grades.csv"
    write(path, told)
    ran = CliRunner().invoke(app, ["grade", str(path), "--model", "noisy", "--csv", str(figures)])
    assert ran.exit_code == 0, ran.output
    assert "local/noisy@64" in ran.output
    assert "honest" not in ran.output
    assert "local/noisy@64,count," in figures.read_text()
    other = CliRunner().invoke(app, ["grade", str(path), "--model", "other"])
    assert other.exit_code == 2
    assert "it has honest, noisy" in " ".join(other.output.replace("│", " ").split())
