"""A cloud model that appears later must agree with the reference before it may answer."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from controller.arm import Arm
from controller.candidates import NEWCOMER
from controller.context import Context, Option
from controller.controller import Controller
from controller.decision import Decision
from controller.outcome import Outcome
from controller.roster import Roster
from controller.settings import Prior
from controller.standing import FOUNDING_S, LEAST, PATIENCE, Standings
from four_arms import LINK, SETTINGS, SMALL, STRONG, answered, context, controller

ROGUE = Arm("cloud", "zzz-model", 0, "rogue")
COPY = Arm("cloud", STRONG.model, 0, "rogue")
BETTER = Arm("cloud", "better", 0, "peer-3")
PRIORS = {**SETTINGS.priors, BETTER.skill: Prior(50.0, 0.97)}
LATER = FOUNDING_S + 1.0


def vouched(*arms: Arm) -> Context:
    known = context()
    return replace(known, options=tuple(Option(arm, 20_000, link=LINK, vouched=True) for arm in arms))


def run(agent: Controller, now: float, *arms: Arm, same: bool = True, lone: bool = False) -> Decision:
    """Puts one question to the arms; what the newcomer says is `same` as the reference's answer or not."""
    decision = agent.decide(context(*arms), now=now)
    runs = [answered(decision.arm)]
    beside = agent.escalate(decision, runs[0], now=now).beside
    if beside is not None:
        runs.append(answered(beside, "2" if same else "3"))
    agent.learn(decision, Outcome(tuple(runs), 0), now=now)
    return decision


@pytest.fixture
def founded() -> Controller:
    """A controller that has known the strong model from the start."""
    agent = controller(replace(SETTINGS, priors=PRIORS))
    run(agent, 0.0, STRONG)
    return agent


@pytest.mark.parametrize("name", ["a", "zzz-model", "strong "])
def test_the_order_of_names_chooses_no_reference(name: str) -> None:
    other = Arm("cloud", name, 0, "rogue")
    settings = replace(SETTINGS, priors={})
    for found, later in permutations((STRONG, other)):
        standings = Standings()
        standings.meet([Option(found)], 0.0)
        standings.meet([Option(later)], 1.0)
        assert Roster((STRONG, other), settings, standings).reference == found
        assert Roster((other, STRONG), settings, standings).reference == found


@pytest.mark.parametrize("newcomer", [ROGUE, COPY, BETTER])
def test_a_newcomer_does_not_answer_until_it_has_agreed(founded: Controller, newcomer: Arm) -> None:
    for i in range(400):
        decision = run(founded, LATER + i, STRONG, newcomer, same=False)
        assert decision.arm == STRONG
        assert decision.basis.reference == STRONG
        candidates = decision.basis.candidates
        assert candidates.blocked[candidates.roster.index[newcomer.id]] == NEWCOMER


def test_a_newcomer_that_agrees_and_is_held_to_be_better_becomes_the_reference(founded: Controller) -> None:
    asked = [run(founded, LATER + i, STRONG, BETTER) for i in range(400)]
    first = next(i for i, decision in enumerate(asked) if decision.basis.reference == BETTER)
    assert first >= LEAST
    assert all(decision.basis.reference == BETTER for decision in asked[first:])


def test_a_newcomer_that_disagrees_is_compared_seldom_after_a_while(founded: Controller) -> None:
    asked = 0
    for i in range(2000):
        decision = founded.decide(context(STRONG, ROGUE), now=LATER + i)
        runs = [answered(decision.arm)]
        beside = founded.escalate(decision, runs[0], now=LATER + i).beside
        if beside is not None:
            asked += 1
            runs.append(answered(beside, "3"))
        founded.learn(decision, Outcome(tuple(runs), 0), now=LATER + i)
    assert PATIENCE <= asked <= PATIENCE + 50


def test_newcomers_answer_while_no_other_cloud_model_can(founded: Controller) -> None:
    assert run(founded, LATER, ROGUE).arm == ROGUE
    assert run(founded, LATER + 1, STRONG, ROGUE).arm == STRONG


def test_a_newcomer_answers_if_the_reference_fails(founded: Controller) -> None:
    decision = founded.decide(context(STRONG, ROGUE), now=LATER)
    failed = replace(answered(STRONG), answer=None, failure="timeout")
    fallback = founded.fallback(decision, failed, now=LATER)
    assert fallback is not None
    assert fallback.arm == ROGUE


def test_models_of_servers_that_a_person_named_count_at_once(founded: Controller) -> None:
    assert founded.decide(vouched(STRONG, BETTER), now=LATER).basis.reference == BETTER


def test_models_found_soon_after_the_first_count_at_once(founded: Controller) -> None:
    assert run(founded, FOUNDING_S - 1.0, STRONG, BETTER).basis.reference == BETTER


def test_the_settings_can_name_the_reference() -> None:
    agent = controller(replace(SETTINGS, priors=PRIORS, reference=STRONG.model))
    assert run(agent, 0.0, STRONG, BETTER).basis.reference == STRONG


def test_the_board_needs_no_standing(founded: Controller) -> None:
    decision = founded.decide(context(SMALL, STRONG), now=LATER)
    assert decision.basis.candidates.newcomers == ()


def test_standings_survive_a_restart(founded: Controller) -> None:
    run(founded, LATER, STRONG, BETTER)
    restored = controller(replace(SETTINGS, priors=PRIORS))
    restored.restore(founded.snapshot())
    assert run(restored, 0.0, STRONG, BETTER).basis.reference == STRONG
    assert run(restored, 1.0, STRONG, ROGUE).arm == STRONG


def test_many_announced_models_push_out_none_with_standing() -> None:
    standings = Standings()
    standings.meet([Option(STRONG)], 0.0)
    standings.meet([Option(Arm("cloud", f"model-{i}", 0, f"rogue-{i}")) for i in range(1000)], LATER)
    assert standings.earned(STRONG)
    assert standings.place(STRONG) == 0
    assert not standings.earned(Arm("cloud", "model-999", 0, "rogue-999"))


def test_chance_does_not_earn_standing() -> None:
    """Of 300 models whose answers are half of the time the same, few come through."""
    earned = 0
    for seed in range(300):
        rng, standings = np.random.default_rng(seed), Standings()
        standings.meet([Option(STRONG)], 0.0)
        standings.meet([Option(ROGUE)], LATER)
        for _ in range(PATIENCE):
            standings.learn(ROGUE, float(rng.random() < 0.5))
        earned += standings.earned(ROGUE)
    assert earned < 30
