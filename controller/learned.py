"""All that was learned, as one thing that can be saved."""

from __future__ import annotations

from typing import Final

from controller import snapshot
from controller.audit import Audit
from controller.confidence import Judge
from controller.costs import Costs
from controller.drift import PageHinkley
from controller.errors import SnapshotError
from controller.failures import Failures
from controller.familiarity import Familiarity
from controller.floor import Floor
from controller.loss import Loss
from controller.quality import PRIOR_MEAN, Quality
from controller.roster import Rosters
from controller.settings import ControllerSettings
from controller.standing import Standings
from controller.status import Status, Tally
from controller.truth import Truth

VERSION: Final = 4
CAPACITY: Final = 64
DIFFER_RATE: Final = 0.02


class Learned:
    """The learners of one controller.

    Attributes:
        differ: how often the board's answers would differ from the reference's, on average.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        learning, forgetting = settings.learning, settings.forgetting
        self._floor_setting = settings.floor
        self._alarm_patience = learning.alarm_patience
        self.costs = Costs(settings)
        self.quality = Quality(settings)
        self.judge = Judge(settings)
        self.familiarity = Familiarity(forgetting.quality)
        self.truth = Truth(settings, len(PRIOR_MEAN), self.familiarity)
        self.floor = Floor(settings.floor, learning.price_step, settings.cloud_prior.quality)
        self.loss = Loss(forgetting.floor)
        self.audit = Audit(settings.audit_budget, learning.opening_audits)
        self.failures = Failures(forgetting.failure_half_life_s)
        self.tally = Tally()
        self.standings = Standings()
        self.rosters = Rosters(settings, self.standings)
        self.differ = 0.5
        self._detectors: dict[str, PageHinkley] = {}

    @property
    def accuracy(self) -> float:
        """The cloud's share of right answers."""
        return self.truth.accuracy(self.differ)

    def learn_differ(self, differ: float) -> None:
        """Take in how likely an answer of the board was held to differ."""
        self.differ += DIFFER_RATE * (differ - self.differ)

    def detector(self, name: str) -> PageHinkley:
        """Watches some residuals of a skill."""
        if name not in self._detectors:
            if len(self._detectors) >= CAPACITY:
                self._detectors.pop(next(iter(self._detectors)))
            self._detectors[name] = PageHinkley(slack=0.3, threshold=10.0 * self._alarm_patience, clip=3.0)
        return self._detectors[name]

    def status(self) -> Status:
        """What is held now, for people."""
        tally = self.tally
        net_variance = self.truth.net_variance(self.loss.typical)
        return Status(
            questions=tally["questions"],
            edge_share=tally.share("local"),
            escalated=tally.share("escalated"),
            audited=tally.share("audited"),
            labels=tally["labels"],
            feedback=tally["feedback"],
            failures=tally["failures"],
            kept=self.loss.kept(net_variance, self.accuracy),
            floor=self._floor_setting,
            price=self.floor.price,
            lam=self.floor.lam(0.0),
            alarms=tally["alarms"],
        )

    def snapshot(self) -> dict[str, object]:
        """Plain lists and numbers, for JSON. Which servers failed lately is not among them."""
        return {
            **self.knowledge(),
            "familiarity": self.familiarity.snapshot(),
            "costs": self.costs.snapshot(),
            "floor": self.floor.snapshot(),
            "loss": self.loss.snapshot(),
            "audit": self.audit.snapshot(),
            "tally": self.tally.snapshot(),
            "standings": self.standings.snapshot(),
            "detectors": {skill: held.snapshot() for skill, held in self._detectors.items()},
        }

    def knowledge(self) -> dict[str, object]:
        """The part of a snapshot that is about the models and their answers, not about one site."""
        return {
            "version": VERSION,
            "quality": self.quality.snapshot(),
            "judge": self.judge.snapshot(),
            "truth": self.truth.snapshot(),
            "differ": self.differ,
        }

    @classmethod
    def knowing(cls, settings: ControllerSettings, held: object) -> Learned:
        """All at its beginning but for `knowledge`.

        Raises:
            SnapshotError: it is of another version or shape.
        """
        version = snapshot.part(held, "version")
        if version != VERSION:
            raise SnapshotError(
                f"the snapshot has version {version!r}, this controller reads {VERSION}: set it aside"
            )
        learned = cls(settings)
        learned.quality.restore(snapshot.part(held, "quality"))
        learned.judge.restore(snapshot.part(held, "judge"))
        learned.truth.restore(snapshot.part(held, "truth"))
        learned.differ = snapshot.share(held, "differ")
        return learned

    @classmethod
    def restored(cls, settings: ControllerSettings, held: object) -> Learned:
        """What a snapshot holds.

        Raises:
            SnapshotError: it is of another version or shape.
        """
        learned = cls.knowing(settings, held)
        learned.familiarity.restore(snapshot.part(held, "familiarity"))
        learned.costs.restore(snapshot.part(held, "costs"))
        learned.floor.restore(snapshot.part(held, "floor"))
        learned.loss.restore(snapshot.part(held, "loss"))
        learned.audit.restore(snapshot.part(held, "audit"))
        learned.tally.restore(snapshot.part(held, "tally"))
        learned.standings.restore(snapshot.table(held).get("standings", {}))  # absent in those of version 0.1
        for skill, kept in snapshot.table(snapshot.part(held, "detectors")).items():
            learned.detector(skill).restore(kept)
        return learned
