"""Reports each answer, after everything that followed it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.answering.answering import Answered, Finished
from agent.answering.cameras import CameraPolicy
from agent.answering.question import Question
from agent.config.settings import Settings
from agent.intake.request import Request
from agent.messages.reply import Answer
from agent.page.page import Page
from agent.reporting.events import Events
from agent.reporting.reporter import Reporter
from agent.reporting.telemetry import decision_record

log = logging.getLogger(__name__)


class AnswerReports:
    """Publishes decision records and drift alarms, and shows answers on the page.

    Args:
        policy: returns the policy of the camera that asked.
        settings: with `privacy.publish_texts` words of models are published, unless the camera is local_only.
    """

    def __init__(
        self,
        reporter: Reporter,
        page: Page,
        events: Events,
        policy: Callable[[Question], CameraPolicy],
        settings: Settings,
    ) -> None:
        self._reporter = reporter
        self._page = page
        self._events = events
        self._policy = policy
        self._texts = settings.privacy.publish_texts

    def report(self, request: Request, answer: Answer, answered: Answered, finished: Finished) -> None:
        """Reports one answer."""
        policy = self._policy(answered.question)
        public = self._texts and not policy.local_only
        kept = decision_record(request, answered, finished, texts=False)
        published = decision_record(request, answered, finished, texts=True) if public else kept
        self._reporter.publish_decision(answered, finished, published, kept)
        self._page.answered(request, answer, answered.question, kept, texts=public, mask=policy.mask)
        for alarm in finished.alarms:
            log.warning("%s", alarm.text)
            self._events.publish("drift", message=alarm.text)
