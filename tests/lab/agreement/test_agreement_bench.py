"""The generated pairs, the fit, and the command that measures agreement."""

import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.agreement.agreement import agreement
from agent.agreement.task import TASKS
from agent.agreement.weights import WEIGHTS
from lab.agreement.fitting import example, fit
from lab.agreement.generating import generate
from lab.agreement.judging import judge
from lab.agreement.pairs import PairsError, read
from lab.agreement.scoring import Judged, figures
from lab.agreement.weights import fitted, module
from lab.cli import app

HEADER = "source,question,answer_a,answer_b,same\n"


def written(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "pairs.csv"
    path.write_text(header + rows)
    return path


def test_generated_pairs_depend_on_the_seed_alone() -> None:
    assert list(generate(3, 20)) == list(generate(3, 20))
    assert list(generate(3, 20)) != list(generate(4, 20))


def test_every_generated_pair_has_the_task_that_it_was_made_for() -> None:
    pairs = list(generate(5, 100))
    assert len(pairs) == 100 * len(TASKS)
    assert [pair.task for pair in pairs] == [pair.source for pair in pairs]
    assert 0.4 < sum(bool(pair.same) for pair in pairs) / len(pairs) < 0.6


def test_the_weights_that_ship_are_those_of_the_generated_pairs() -> None:
    """Fewer pairs than for the weights that ship: they must lead to nearly the same probabilities."""
    weights = fitted(each=400)
    pairs = list(generate(8, 60))
    distances = [
        abs(
            agreement(pair.question, pair.form, pair.a, pair.b).p_same
            - agreement(pair.question, pair.form, pair.a, pair.b, weights=weights).p_same
        )
        for pair in pairs
    ]
    assert sum(distances) / len(distances) < 0.05


def test_the_module_of_weights_is_what_the_script_writes() -> None:
    source = (Path(__file__).parents[3] / "agent/agreement/weights.py").read_text()
    assert module(WEIGHTS) == source


def test_new_generated_pairs_are_recognised() -> None:
    found = figures(judge(list(generate(9, 100))))
    assert found.auroc is not None
    assert found.auroc > 0.95
    assert found.error is not None
    assert found.error < 0.05
    assert found.sure > 0.7


def test_a_fit_without_examples_keeps_the_prior() -> None:
    kept = {
        task: {name: w for name, w in found.items() if w} for task, found in fit([], 1.0, WEIGHTS).items()
    }
    assert kept == WEIGHTS


def test_a_fit_finds_what_separates() -> None:
    pairs = [pair for pair in generate(2, 200) if pair.task == "count"]
    weights = fit(map(example, pairs), 1.0)["count"]
    assert weights["number"] > 1


def test_a_strong_penalty_keeps_the_prior() -> None:
    examples = [example(pair) for pair in generate(2, 20)]
    weights = fit(examples, 1e9, WEIGHTS)
    assert weights["label"]["run"] == pytest.approx(WEIGHTS["label"]["run"], abs=1e-3)


def test_figures_of_known_judgements() -> None:
    judged = [
        Judged(same=True, p_same=0.9, sure=True, equal=False),
        Judged(same=False, p_same=0.9, sure=True, equal=False),
        Judged(same=False, p_same=0.4, sure=False, equal=True),
        Judged(same=False, p_same=0.1, sure=True, equal=False),
    ]
    found = figures(judged)
    assert (found.pairs, found.sure, found.error) == (4, 0.75, pytest.approx(1 / 3))
    assert found.auroc == pytest.approx(2.5 / 3)
    assert found.equality_error == 0.5
    assert found.ece == pytest.approx((0.8 + 0.4 + 0.1) / 4)
    assert found.brier == pytest.approx((0.1**2 + 0.9**2 + 0.4**2 + 0.1**2) / 4)


def test_figures_that_do_not_exist_are_none() -> None:
    found = figures([Judged(same=True, p_same=0.5, sure=False, equal=True)])
    assert found.auroc is None
    assert found.error is None


def test_the_command_prints_forms_and_sources(tmp_path: Path) -> None:
    rows = [
        f"{'ab'[n % 2]} | c,How many of {n}?,{n % 3},There are {n % 2} boxes.,{n % 3 == n % 2:d}\n"
        for n in range(3, 15)
    ]
    path = written(tmp_path, "".join([*rows, "a,Why?,x,y,\n"]))
    ran = CliRunner().invoke(app, ["agreement", str(path), "--cross-validate", "3"])
    assert ran.exit_code == 0, ran.output
    lines = ran.output.splitlines()
    assert lines[0] == "## Weights that ship"
    assert "## Refitted, 3-fold cross-validation" in lines
    assert [line.split(" | ")[:2] for line in lines[4:8]] == [
        ["| count", "12"],
        ["| **all short forms**", "12"],
        ["| **all**", "12"],
        ["| a / c", "6"],
    ]
    assert "| p | count | **all short forms** | **all** |" in lines
    low = next(line for line in lines if line.startswith("| 0.0 to 0.1 |"))
    assert "0.00 of" in low


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("source,question\n", "", "has no column answer_a"),
        (HEADER, "a,What?,x,y,2\n", "line 2"),
        (HEADER, "a,What?\n", "line 2"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(
    tmp_path: Path, header: str, rows: str, message: str
) -> None:
    with pytest.raises(PairsError, match=message):
        read(written(tmp_path, rows, header))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,Why?,x,y,\n", "no pair whose column same is 0 or 1"),
        ("a,Why?,x,y,1\n", "fewer questions than 2 folds"),
    ],
)
def test_too_few_pairs_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    ran = CliRunner().invoke(app, ["agreement", str(written(tmp_path, rows)), "--cross-validate", "2"])
    assert ran.exit_code != 0
    assert message in " ".join(ran.output.split())


def test_the_order_of_a_pair_does_not_matter() -> None:
    pairs = random.Random(1).sample(list(generate(6, 20)), 40)
    for pair in pairs:
        one = agreement(pair.question, pair.form, pair.a, pair.b)
        assert one == agreement(pair.question, pair.form, pair.b, pair.a)
