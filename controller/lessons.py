"""What an outcome, or a truth that comes later, teaches."""

from __future__ import annotations

import math
from typing import Final

from controller.audit import LEAST, aipw
from controller.candidates import Candidates
from controller.decision import Decision
from controller.difficulty import harder
from controller.drift import Direction, DriftEvent
from controller.learned import Learned
from controller.logistic import KIN
from controller.memory import Episode
from controller.outcome import Execution, Outcome
from controller.roster import differing
from controller.truth import Who, compared, witnessed

HEAVIEST: Final = 10.0  # weight of a label; a rarer audit counts no more, or it would decide alone
IMPUTED: Final = 0.5  # weight of a judgement in place of a label
WIDENING: Final = 0.3
NEWEST: Final = 40  # labels that still calibrate after an alarm


def learn_outcome(
    decision: Decision, outcome: Outcome, episode: Episode, learned: Learned, now: float
) -> list[DriftEvent]:
    """Teach all learners what came of a decision; completes the episode."""
    events = []
    basis = decision.basis
    for run in outcome.executions:
        learned.failures.learn(run.arm.server, run.failure is not None, now)
        learned.tally.add("failures", int(run.failure is not None))
        place = basis.candidates.roster.index.get(run.arm.id)
        if run.failure is None and place is not None:
            event = learned.costs.learn(basis.candidates.estimates.of(place), basis.device, run, now)
            events += [event] if event is not None else []
    answered = None if outcome.answered is None else outcome.executions[outcome.answered]
    if answered is None:
        return events
    _compare(episode, outcome, basis.candidates)
    _learn_standings(outcome, basis.candidates, learned)
    episode.own = answered.arm.skill == episode.skill
    audited = outcome.audited and episode.compared
    _count(answered, audited, episode, learned)
    events += _learn_quality(decision, episode, learned, audited, now)
    _learn_floor(decision, answered, episode, learned, audited)
    return events


def learn_truth(episode: Episode, correct: bool, learned: Learned, weight: float = 1.0) -> None:
    """Take in that the answer that was sent out was right or wrong.

    Args:
        weight: share of a label that it counts for; with 0 it is counted in the tally alone.
    """
    if episode.own is None:
        return
    learned.tally.add("feedback")
    if weight <= 0.0:
        return
    if episode.own:
        learned.audit.learn_told(weight)
    expected = episode.differ if episode.judgement is None else episode.judgement.differ
    differed, who = episode.differ, Who(episode.skill, episode.standard, not episode.own)
    if not episode.compared:
        differed = learned.truth.differed(correct, episode.differ, expected, episode.x, who)
        if episode.own and episode.skill is not None and episode.judgement is not None:
            learned.quality.learn(episode.skill, episode.x, differed, weight)
            learned.judge.learn(episode.skill, episode.judgement, differed, weight)
            learned.familiarity.learn(episode.looks, differing(episode.skill), expected, differed, weight)
            learned.tally.add("labels")
    learned.truth.learn(correct, differed, expected, episode.x, who, episode.looks, weight=weight)


def _compare(episode: Episode, outcome: Outcome, candidates: Candidates) -> None:
    """See whether the judged answer differs from the reference's, or what another cloud arm tells of that."""
    roster, skill = candidates.roster, episode.skill
    ran: dict[str, int] = {}
    for at, run in enumerate(outcome.executions):
        if run.answer is not None:
            ran.setdefault(run.arm.skill, at)
    if roster.reference is None or skill is None or skill not in ran:
        return
    if roster.reference.skill in ran:
        p_same = outcome.p_same(ran[skill], ran[roster.reference.skill])
        episode.differ = compared(episode.differ, p_same)
        episode.compared = True
        return
    for at, run in enumerate(outcome.executions):
        place = roster.index.get(run.arm.id)
        if place is not None and roster.cloud[place] and run.arm.skill != skill and run.answer is not None:
            p_same = outcome.p_same(at, ran[skill])
            before, witness = episode.differ, float(candidates.guesses.differ[place])
            if_same, if_not = witnessed(before, witness, True), witnessed(before, witness, False)
            episode.differ = p_same * if_same + (1.0 - p_same) * if_not
            episode.witnessed = True
            return


def _learn_standings(outcome: Outcome, candidates: Candidates, learned: Learned) -> None:
    """Compare the answers of newcomers with the reference's."""
    reference = candidates.roster.reference
    answered = [at for at, run in enumerate(outcome.executions) if run.answer is not None]
    own = next((at for at in answered if outcome.executions[at].arm == reference), None)
    if own is None:
        return
    for at in answered:
        if at != own and outcome.executions[at].arm.tier == "cloud":
            learned.standings.learn(outcome.executions[at].arm, outcome.p_same(own, at))


def _count(answered: Execution, audited: bool, episode: Episode, learned: Learned) -> None:
    tally = learned.tally
    tally.add("questions")
    tally.add("local", answered.arm.tier == "local")
    tally.add("escalated", episode.skill is not None and answered.arm.skill != episode.skill)
    tally.add("audited", audited)
    tally.add("labels", episode.compared)


def _learn_quality(
    decision: Decision, episode: Episode, learned: Learned, audited: bool, now: float
) -> list[DriftEvent]:
    skill, judgement = episode.skill, episode.judgement
    if skill is None or judgement is None:
        return []
    guessed = decision.basis.candidates.guessed(skill)
    learned.judge.learn_spread(skill, guessed, judgement.differ)
    learned.learn_differ(judgement.differ)
    # Without a label the judgement stands in for it, or guesses would learn from hard questions only.
    weight, kin = (1.0, KIN) if episode.compared or episode.witnessed else (IMPUTED, 0.0)
    learned.quality.learn(skill, episode.x, episode.differ, weight, kin=kin)
    events = []
    if (direction := _drift(learned, "content", skill, episode.differ, guessed)) is not None:
        learned.quality.widen(skill, WIDENING)
        learned.audit.raise_alarm()
        events.append(DriftEvent("content", skill, direction, now))
    if episode.witnessed:
        learned.judge.learn(skill, judgement, episode.differ, 1.0)
    if not episode.compared:
        return events
    learned.familiarity.learn(episode.looks, differing(skill), judgement.differ, episode.differ)
    weight = min(HEAVIEST, 1.0 / episode.audit) if audited and episode.audit > 0 else 1.0
    learned.judge.learn(skill, judgement, episode.differ, weight)
    if (direction := _drift(learned, "quality", skill, episode.differ, judgement.differ)) is not None:
        learned.quality.widen(skill, WIDENING)
        learned.judge.widen(skill, WIDENING, NEWEST)
        learned.audit.raise_alarm()
        if direction == "up":
            learned.floor.be_careful(learned.accuracy)
        events.append(DriftEvent("quality", skill, direction, now))
    return events


def _drift(learned: Learned, kind: str, skill: str, differed: float, expected: float) -> Direction | None:
    """Test a residual in units of the deviation that it should have, and a little more where that is tiny."""
    deviation = math.sqrt(expected * (1.0 - expected) + 0.05)
    return learned.detector(f"{kind} {skill}").test((differed - expected) / deviation)


def _differs(place: int, episode: Episode, candidates: Candidates) -> float:
    """How likely the answer of an arm differs that was not judged itself; the reference's own never does."""
    differ = candidates.guesses.differ
    if episode.judgement is None or episode.skill is None:
        return float(differ[place])
    guessed = candidates.guessed(episode.skill)
    return float(harder(differ[place : place + 1], episode.judgement.differ, guessed)[0])


def _learn_floor(
    decision: Decision, answered: Execution, episode: Episode, learned: Learned, audited: bool
) -> None:
    basis = decision.basis
    candidates = basis.candidates
    roster = candidates.roster
    if not basis.contested or roster.home is None:
        return
    place = roster.index[answered.arm.id]
    judgement = episode.judgement if episode.own else None
    predicted = _differs(place, episode, candidates) if judgement is None else judgement.differ
    observed = episode.differ if episode.compared and audited and episode.audit > 0 else None
    estimated = aipw(predicted, observed, episode.audit)
    damage = basis.damage
    variance = predicted * (1.0 - predicted) / max(LEAST, episode.audit)
    learned.loss.learn(predicted, estimated, variance, damage.one(place, predicted))
    learned.floor.learn(
        damage.one(place, min(1.0, predicted * learned.loss.ratio)),
        accuracy=basis.accuracy,
        cost=float(candidates.cost[roster.home]),
        may_fall=basis.swayed,
    )
    learned.audit.learn(judgement is not None, audited)
