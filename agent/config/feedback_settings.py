"""The site file's section on feedback."""

from __future__ import annotations

from agent.config.client_settings import TopicLevel
from agent.config.yaml_file import Section


class FeedbackSettings(Section):
    """Whose feedback is believed without a test.

    Attributes:
        trusted: names of clients, or `operator` for the operator's topic. Name nobody on a broker without an
            access list: there anybody can publish under any name.
    """

    trusted: tuple[TopicLevel, ...] = ()
