"""The controller: decides where each question is answered, and learns from what came of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.arm import Arm
from controller.candidates import Candidates
from controller.context import Context
from controller.decision import Decision, FollowUp
from controller.drift import DriftEvent
from controller.errors import NoArm, SnapshotError
from controller.escalation import follow_up
from controller.learned import Learned
from controller.lessons import learn_outcome, learn_truth
from controller.memory import Episode, Memory
from controller.outcome import Execution, Outcome
from controller.placement import next_best, place
from controller.settings import ControllerSettings
from controller.status import Status
from controller.study import Example, study

__all__ = ["Controller", "NoArm", "SnapshotError"]


class Controller:
    """Two stages and one rule: `decide` picks the arm to ask, `escalate` what to do with its answer.

    For each question call `decide`; run the arm; on failure call `fallback` until an arm answers; call
    `escalate` with an answer that is not the reference's; run what it says; call `learn` once with all that
    ran. Many questions may be under way at once. Time is whatever clock `now` is from, in seconds, never
    going back.

    Args:
        settings: weights, floor, limits and priors.
        rng: for probes and audits, and the ids of decisions.
    """

    def __init__(self, settings: ControllerSettings, *, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self._learned = Learned(settings)
        self._memory = Memory()
        self._run = rng.bytes(4).hex()
        self._decided = 0

    def decide(self, context: Context, *, now: float) -> Decision:
        """Pick the arm to ask first.

        Raises:
            NoArm: every option is blocked; the message says why.
        """
        self._decided += 1
        name = f"{self._run}-{self._decided}"
        decision = place(context, self._learned, self._settings, rng=self._rng, now=now, name=name)
        self._memory.keep(name, Episode.of(decision))
        return decision

    def escalate(self, decision: Decision, execution: Execution, *, now: float) -> FollowUp:
        """Say what to do with the first answer. The reference's own is always kept."""
        basis, arm = decision.basis, execution.arm
        candidates = basis.candidates
        if basis.reference is not None and arm.skill == basis.reference.skill:
            own = FollowUp("keep", None, 1.0, "cloud: it is the reference", 0.0, differ=0.0)
            return replace(own, beside=self._newcomer(candidates))
        judgement = self._learned.judge.judge(
            arm,
            basis.reference,
            basis.x,
            execution.confidence,
            float(candidates.shifts[candidates.roster.index[arm.id]]),
        )
        found, audit = follow_up(
            decision, execution, judgement, self._learned, self._settings, self._rng, now
        )
        self._episode(decision).judged(arm.skill, judgement, audit)
        asked = found.arm is not None and found.arm == basis.reference
        beside = self._newcomer(candidates) if asked else found.beside
        return replace(found, beside=beside, differ=judgement.differ)

    def fallback(self, decision: Decision, failed: Execution, *, now: float) -> Decision | None:
        """The next best arm after one failed, under the same id; None when nothing is left."""
        return next_best(decision, failed.arm, failed.failure or "no answer")

    def learn(self, decision: Decision, outcome: Outcome, *, now: float) -> tuple[DriftEvent, ...]:
        """Learn from all that ran for a decision; returns the alarms that it raised."""
        episode = self._episode(decision)
        events = learn_outcome(decision, outcome, episode, self._learned, now)
        if episode.own is None:
            self._memory.forget(decision.id)
        elif episode.truth is not None:
            self.feedback(decision.id, episode.truth, now=now, weight=episode.truth_weight)
        self._learned.tally.add("alarms", len(events))
        return tuple(events)

    def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
        """Learn whether the answer sent out was right; False when its decision is no longer remembered.

        Args:
            weight: how far it is believed, from 0 to 1: it counts for so much of a label.
        """
        episode = self._memory.get(decision_id)
        if episode is None:
            return False
        if episode.own is None:
            # It came before the outcome: an audit may still be under way.
            episode.truth, episode.truth_weight = correct, weight
            return True
        self._memory.forget(decision_id)
        learn_truth(episode, correct, self._learned, weight)
        return True

    def study(self, example: Example, *, weight: float = 1.0) -> None:
        """Learn from a question of which it is known what every arm answers; see `study.study`."""
        study(example, self._learned, weight)

    def status(self) -> Status:
        """What the controller holds, for people."""
        return self._learned.status()

    def snapshot(self) -> dict[str, object]:
        """All that was learned, as plain dictionaries, lists and numbers."""
        return self._learned.snapshot()

    def knowledge(self) -> dict[str, object]:
        """What was learned of the models and their answers, for `begin`: plain lists and numbers."""
        return self._learned.knowledge()

    def begin(self, knowledge: object) -> None:
        """Start anew with what another controller knows of the models.

        Raises:
            SnapshotError: it is of another version or damaged; the controller is then as before.
        """
        self._learned = Learned.knowing(self._settings, knowledge)

    def restore(self, snapshot: object) -> None:
        """Take over what was learned.

        Raises:
            SnapshotError: the snapshot is of another version or damaged; the controller is then as before.
        """
        self._learned = Learned.restored(self._settings, snapshot)

    def _newcomer(self, candidates: Candidates) -> Arm | None:
        """The newcomer whose answer is to be compared with the reference's; None for none."""
        room_ms = self._settings.audit_room_ms
        for at in candidates.newcomers:
            arm = candidates.roster.arms[at]
            in_time = candidates.estimates.latency_ms[at] <= room_ms
            if in_time and self._learned.standings.wanted(arm, self._rng):
                return arm
        return None

    def _episode(self, decision: Decision) -> Episode:
        episode = self._memory.get(decision.id)
        if episode is None:
            episode = Episode.of(decision)
            self._memory.keep(decision.id, episode)
        return episode
