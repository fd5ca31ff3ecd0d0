"""What escalate, learn and feedback may and may not do."""

from dataclasses import replace

import numpy as np
import pytest

from controller.arm import Arm
from controller.context import Context, Option
from controller.outcome import Execution, Outcome
from controller.settings import Learning, Weights
from four_arms import (
    MID,
    SETTINGS,
    SHARP,
    SIGNALS,
    SMALL,
    STRONG,
    SURE,
    UNSURE,
    answered,
    context,
    controller,
    taught,
)


def test_with_nothing_learned_a_doubtful_answer_is_escalated_to_the_best_cloud_arm() -> None:
    policy = controller()
    decision = policy.decide(context(SMALL, MID, STRONG), now=0.0)
    for confidence in (None, UNSURE, SURE):
        found = policy.escalate(decision, answered(SMALL, confidence=confidence), now=0.0)
        assert (found.action, found.arm) == ("escalate", STRONG)
    assert decision.basis.reference == STRONG


def test_with_nothing_learned_the_first_questions_go_to_the_cloud_or_are_labelled() -> None:
    policy = controller()
    for i in range(20):
        decision = policy.decide(context(SMALL, STRONG), now=float(i))
        runs = [answered(decision.arm, "2", SURE)]
        if decision.arm == SMALL:
            found = policy.escalate(decision, runs[0], now=float(i))
            runs += [answered(found.arm, "2")] if found.arm else []
            assert found.action in ("escalate", "audit") or i >= 10
        policy.learn(decision, Outcome(tuple(runs), len(runs) - 1), now=float(i))
    assert policy.status().labels >= 5


def test_labels_that_agree_let_sure_answers_be_kept_and_labels_that_differ_do_not() -> None:
    quiet = replace(SETTINGS, audit_budget=0.0)
    for agrees, action in ((True, "keep"), (False, "escalate")):
        policy = taught(quiet, 60, agrees)
        decision = policy.decide(context(SMALL, STRONG), now=99.0)
        assert policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0).action == action
    assert decision.arm == STRONG
    assert "likely be wrong" in decision.reason


def test_a_cloud_that_is_slower_but_costs_less_is_asked_for_that() -> None:
    saving = replace(SETTINGS, weights=Weights(latency_per_s=0.0, energy_per_j=1.0))
    decision = controller(saving).decide(context(SMALL, STRONG), now=0.0)
    assert decision.arm == STRONG
    assert "costs less" in decision.reason


def test_hope_for_a_quicker_cloud_does_not_pay_for_its_calls() -> None:
    learning = Learning(probe_rate=0.0, exploration=0.0)
    paid = Weights(latency_per_s=0.0, energy_per_j=0.0, money_per_call=1.0)
    policy = taught(
        replace(SETTINGS, floor=0.98, weights=paid, learning=learning), 60, cloud_agrees=True, but_every=2
    )
    asked = [policy.decide(context(SMALL, STRONG), now=99.0) for _ in range(60)]
    assert asked[-1].basis.candidates.estimates.ignorance[1] > 0.4  # nobody has asked the cloud for long
    assert {decision.arm for decision in asked} == {SMALL}  # free to ask first, whatever is asked after it


def test_the_references_answer_is_always_kept_and_a_lesser_clouds_may_be_audited() -> None:
    policy = controller(replace(SETTINGS, audit_budget=1.0))
    decision = policy.decide(context(SMALL, MID, STRONG), now=0.0)
    assert policy.escalate(decision, answered(STRONG), now=0.0).action == "keep"
    found = [policy.escalate(decision, answered(MID), now=0.0) for _ in range(40)]
    assert {(f.action, f.arm) for f in found} == {("keep", None), ("audit", STRONG)}


def test_no_audit_is_drawn_when_the_link_has_no_room() -> None:
    policy = taught(replace(SETTINGS, audit_budget=1.0, audit_room_ms=100.0), 60, cloud_agrees=True)
    decision = policy.decide(context(SMALL, STRONG), now=99.0)
    found = [policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0) for _ in range(50)]
    assert {follow_up.action for follow_up in found} == {"keep"}


def test_propensities_are_the_frequencies_of_what_was_done() -> None:
    policy = taught(replace(SETTINGS, audit_budget=0.3, learning=Learning(probe_rate=0.2)), 60, True)
    drawn, propensity, kept = [], 0.0, context(SMALL, STRONG)
    for _ in range(2000):
        decision = policy.decide(kept, now=99.0)
        drawn.append(decision.arm == SMALL)
        propensity = decision.propensity if decision.arm == SMALL else 1 - decision.propensity
    assert np.mean(drawn) == pytest.approx(propensity, abs=0.04)
    found = [policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0) for _ in range(2000)]
    audits = [follow_up for follow_up in found if follow_up.action == "audit"]
    assert len(audits) / 2000 == pytest.approx(audits[0].propensity, abs=0.04)
    assert all(f.propensity == pytest.approx(1 - audits[0].propensity) for f in found if f.action == "keep")


def test_a_server_that_fails_is_avoided_for_a_while() -> None:
    policy = controller(replace(SETTINGS, learning=Learning(probe_rate=0.0)))
    both = context(replace(STRONG, server="peer-1"), STRONG)
    first = policy.decide(both, now=0.0).arm
    for i in range(3):
        decision = policy.decide(both, now=float(i))
        if decision.arm == first:
            policy.learn(decision, Outcome((Execution(first, None, failure="timeout"),), None), now=float(i))
    assert policy.decide(both, now=3.0).arm != first


def test_feedback_is_remembered_once_and_may_come_before_the_outcome() -> None:
    policy = controller()
    decision = policy.decide(context(SMALL, STRONG), now=0.0)
    assert policy.feedback(decision.id, True, now=0.5)
    assert policy.status().feedback == 0
    policy.learn(decision, Outcome((answered(STRONG),), 0), now=1.0)
    assert policy.status().feedback == 1
    assert not policy.feedback(decision.id, True, now=2.0)
    assert not policy.feedback("unknown", True, now=2.0)


@pytest.mark.parametrize("early", [True, False])
def test_feedback_without_weight_is_counted_and_teaches_nothing(early: bool) -> None:
    snapshots = []
    for weight in (None, 0.0, 1.0):
        policy = controller()
        decision = policy.decide(context(SMALL, STRONG), now=0.0)
        policy.escalate(decision, answered(SMALL, confidence=SURE), now=0.0)
        if weight is not None and early:
            policy.feedback(decision.id, False, now=0.5, weight=weight)
        policy.learn(decision, Outcome((answered(SMALL),), 0), now=1.0)
        if weight is not None and not early:
            policy.feedback(decision.id, False, now=2.0, weight=weight)
        assert policy.status().feedback == int(weight is not None)
        snapshots.append({**policy.snapshot(), "tally": None})
    assert snapshots[0] == snapshots[1] != snapshots[2]


def test_questions_under_scrutiny_are_audited_more_often_and_their_propensity_says_so() -> None:
    policy = taught(replace(SETTINGS, audit_budget=0.02), 60, cloud_agrees=True)
    found = {}
    for scrutiny in (1.0, 4.0):
        asked = replace(context(SMALL, STRONG), scrutiny=scrutiny)
        decision = policy.decide(asked, now=99.0)
        ups = [policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0) for _ in range(3000)]
        audits = [follow_up for follow_up in ups if follow_up.action == "audit"]
        assert len(audits) / len(ups) == pytest.approx(audits[0].propensity, abs=0.04)
        found[scrutiny] = audits[0].propensity
    assert found[4.0] > 2 * found[1.0]


def test_old_decisions_are_forgotten_so_that_memory_is_bounded() -> None:
    policy = controller()
    first = policy.decide(context(SMALL, STRONG), now=0.0)
    for i in range(2000):
        policy.decide(context(SMALL), now=float(i))
    assert not policy.feedback(first.id, True, now=1.0)


def test_with_no_cloud_feedback_alone_teaches_which_board_arm_is_good() -> None:
    policy = controller(replace(SETTINGS, learning=Learning(probe_rate=0.3)))
    for i in range(200):
        decision = policy.decide(context(SMALL, SHARP), now=float(i))
        run = replace(answered(decision.arm), latency_ms=100.0, compute_ms=100.0)
        policy.escalate(decision, run, now=float(i))
        policy.learn(decision, Outcome((run,), 0), now=float(i))
        policy.feedback(decision.id, decision.arm == SHARP, now=float(i))
    predictions = policy.decide(context(SMALL, SHARP), now=999.0).predictions
    assert predictions[SHARP.id].quality > predictions[SMALL.id].quality + 0.3
    assert predictions[SHARP.id].score < predictions[SMALL.id].score


def test_many_peers_at_once_are_no_trouble() -> None:
    crowd = [Arm("cloud", f"model-{i}", 0, f"peer-{i}") for i in range(200)]
    policy = controller()
    for i in range(3):
        decision = policy.decide(context(SMALL, *crowd), now=float(i))
        policy.learn(decision, Outcome((answered(decision.arm),), 0), now=float(i))
    assert len(decision.predictions) == 201


def test_a_question_of_which_nothing_is_remembered_is_still_learned_from() -> None:
    policy, other = controller(seed=1), controller(seed=2)
    decision = policy.decide(context(SMALL, STRONG), now=0.0)
    other.learn(decision, Outcome((answered(SMALL), answered(STRONG)), 0, audited=True), now=0.0)
    assert other.status().questions == 1


@pytest.mark.parametrize("known", [True, False], ids=["peer that is down", "no peer"])
def test_without_a_cloud_the_better_of_the_boards_arms_answers_from_the_first_question(known: bool) -> None:
    """Accuracy has its price before any call of the cloud has told what one costs."""
    options = [Option(SMALL), Option(SHARP)]
    if known:
        options.append(Option(STRONG, 20_000, blocked="its server is not healthy"))
    settings = replace(SETTINGS, learning=Learning(probe_rate=0.0, exploration=0.0))
    decision = controller(settings).decide(Context(SIGNALS, tuple(options)), now=0.0)
    assert decision.arm == SHARP
