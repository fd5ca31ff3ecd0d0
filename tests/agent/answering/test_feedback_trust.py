"""Honest feedback is soon believed; false feedback is not, however it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from agent.answering.feedback_trust import (
    CLIENTS,
    EARNED,
    MOST_EARNED,
    SCRUTINY,
    FeedbackTrust,
    wrong_by_honest,
)

TESTED_SHARE = 0.3


@dataclass(frozen=True)
class Label:
    """An answer about which a client gives feedback."""

    wrong: bool
    p_wrong: float
    tested: bool


Says = Callable[[Label, np.random.Generator], bool]  # whether it says "correct"
LIES: dict[str, Says] = {
    "always right": lambda _label, _rng: True,
    "always wrong": lambda _label, _rng: False,
    "the opposite": lambda label, _rng: label.wrong,
    "at random": lambda _label, rng: bool(rng.random() < 0.5),
    "mostly right": lambda _label, rng: bool(rng.random() < 0.9),
}


def honest(label: Label, _rng: np.random.Generator) -> bool:
    return not label.wrong


def sloppy(label: Label, rng: np.random.Generator) -> bool:
    return label.wrong if rng.random() < 0.2 else not label.wrong


def labels(rng: np.random.Generator, count: int) -> list[Label]:
    """Answers of the board: a fifth differs from the reference's, which errs in a fifth of these."""
    found = []
    for _ in range(count):
        p_differs = float(rng.beta(1, 4))
        differs = bool(rng.random() < p_differs)
        wrong = bool(rng.random() < (0.8 if differs else 0.05))
        tested = bool(rng.random() < TESTED_SHARE)
        p = float(differs) if tested else p_differs
        found.append(Label(wrong, 0.85 * p + 0.1 * (1 - p), tested))
    return found


def weights(
    trust: FeedbackTrust, says: Says, count: int, *, client: str = "c", seed: int = 0
) -> tuple[list[float], list[float]]:
    """The weights of a client's tested and untested labels."""
    rng = np.random.default_rng(seed)
    found: tuple[list[float], list[float]] = [], []
    for label in labels(rng, count):
        if label.tested:
            trust.compared()
        trust.observe(client, says(label, rng), label.p_wrong, tested=label.tested)
        found[not label.tested].append(trust.weight(client, tested=label.tested))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_honest_feedback_is_believed_after_a_few_dozen_answers(seed: int) -> None:
    trust = FeedbackTrust()
    assert trust.weight("c", tested=True) == 0.0
    tested, _ = weights(trust, honest, 300, seed=seed)
    assert np.mean(tested[15:]) > 0.5


@pytest.mark.parametrize("seed", range(10))
def test_a_sloppy_client_is_believed_less_and_not_ignored(seed: int) -> None:
    trust = FeedbackTrust()
    tested, _ = weights(trust, sloppy, 400, seed=seed)
    assert 0.1 < np.mean(tested[40:]) < 0.75
    assert not trust.ignores("c")


@pytest.mark.parametrize("name", LIES)
def test_false_feedback_counts_almost_nothing(name: str) -> None:
    spent = [sum(map(sum, weights(FeedbackTrust(), LIES[name], 100, seed=seed))) for seed in range(20)]
    assert np.mean(spent) < 4.0, "of 100 labels"


@pytest.mark.parametrize("name", ["always right", "always wrong", "the opposite"])
def test_false_feedback_is_soon_ignored(name: str) -> None:
    for seed in range(10):
        trust = FeedbackTrust()
        weights(trust, LIES[name], 600, seed=seed)
        assert trust.ignores("c")


def test_false_alarms_are_as_rare_as_stated() -> None:
    """A client that means well may be ignored once in 1000 tested answers; this one errs in a fifth."""
    alarms = 0
    for seed in range(40):
        trust = FeedbackTrust()
        weights(trust, sloppy, 500, seed=seed)
        alarms += trust.ignores("c")
    assert alarms <= 40 * 500 * TESTED_SHARE / 1000


def test_many_names_count_no_more_than_one() -> None:
    trust = FeedbackTrust()
    rng = np.random.default_rng(0)
    spent = 0.0
    for number, label in enumerate(labels(rng, 2000)):
        trust.compared()
        name = f"name {number // 5}"
        trust.observe(
            name, not label.wrong, label.p_wrong, tested=label.tested
        )  # true at first, to be believed
        spent += trust.weight(name, tested=label.tested)
    assert spent < 0.15 * 2000
    assert len(trust.snapshot()["clients"]) == CLIENTS


@pytest.mark.parametrize("lie", [True, False], ids=["right", "wrong"])
def test_a_client_that_was_honest_and_then_lies_is_ignored_within_few_tested_answers(lie: bool) -> None:
    trust = FeedbackTrust()
    weights(trust, honest, 200)
    spent = 0.0
    for _ in range(20):
        trust.observe("c", lie, 0.85 if lie else 0.1, tested=True)
        spent += trust.weight("c", tested=True)
    assert trust.ignores("c")
    assert spent < 12.0


def test_lies_about_untested_answers_only_are_bounded_by_what_the_agent_compares() -> None:
    trust = FeedbackTrust()
    weights(trust, honest, 400)
    rng, spent, compared = np.random.default_rng(1), 0.0, 0
    for label in labels(rng, 400):
        if label.tested:
            trust.compared()
            compared += 1
        correct = not label.wrong if label.tested else True
        trust.observe("c", correct, label.p_wrong, tested=label.tested)
        spent += 0.0 if label.tested else trust.weight("c", tested=False)
    assert not trust.ignores("c"), "what it says of the tested answers is true"
    assert spent <= MOST_EARNED + EARNED * compared


def test_without_comparisons_untested_labels_run_out() -> None:
    trust = FeedbackTrust()
    weights(trust, honest, 300)
    for _ in range(200):
        trust.observe("c", True, 0.1, tested=False)
        left = trust.weight("c", tested=False)
    assert left == 0.0


def test_a_trusted_client_is_believed_whatever_it_says_until_it_is_trusted_no_more() -> None:
    trust = FeedbackTrust(("c",))
    weights(trust, LIES["the opposite"], 200)
    assert trust.weight("c", tested=True) == trust.weight("c", tested=False) == 1.0
    trust.apply(())
    assert trust.weight("c", tested=True) == 0.0


def test_an_ignored_client_that_a_person_trusts_and_then_not_begins_anew() -> None:
    trust = FeedbackTrust()
    weights(trust, LIES["always wrong"], 200)
    assert trust.ignores("c")
    trust.apply(("c",))
    assert not trust.ignores("c")
    assert trust.weight("c", tested=True) == 1.0
    trust.apply(())
    assert not trust.ignores("c")
    assert trust.weight("c", tested=True) == 0.0


def test_answers_about_which_somebody_gives_feedback_are_audited_more_often() -> None:
    trust = FeedbackTrust()
    trust.watch("camera")
    assert (trust.scrutiny("camera"), trust.scrutiny("other")) == (SCRUTINY, 1.0)


@pytest.mark.parametrize("p_wrong", [0.0, 0.1, 0.2, 0.5, 0.85, 1.0])
def test_what_honest_clients_may_say_encloses_what_is_expected(p_wrong: float) -> None:
    least, most = wrong_by_honest(p_wrong)
    assert 0 <= least <= p_wrong
    assert min(p_wrong, 0.9) <= most < 1


def test_what_is_known_of_clients_survives_a_restart() -> None:
    trust, again = FeedbackTrust(), FeedbackTrust()
    weights(trust, honest, 200)
    weights(trust, LIES["always wrong"], 100, client="liar")
    again.restore(json.loads(json.dumps(trust.snapshot())))
    assert again.ignores("liar")
    assert again.snapshot() == trust.snapshot()
    assert again.weight("c", tested=True) == trust.weight("c", tested=True) > 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"earned": -1},
        {"earned": 1e9},
        {"clients": {"c": {"kind": float("nan")}}},
        {"other": 1},
        {"clients": []},
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        FeedbackTrust().restore({**FeedbackTrust().snapshot(), **change})
