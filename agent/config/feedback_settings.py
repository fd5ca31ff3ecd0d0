"""The site file's section on feedback."""

from __future__ import annotations

from pydantic import field_validator

from agent.config.yaml_file import Section
from agent.messages.names import MAX_LENGTH, is_name, is_topic_level


class FeedbackSettings(Section):
    """Whose feedback is believed without a test.

    Attributes:
        trusted: names of clients, or `operator` for the operator's topic. Name nobody on a broker without an
            access list: there anybody can publish under any name.
    """

    trusted: tuple[str, ...] = ()

    @field_validator("trusted")
    @classmethod
    def _are_clients(cls, trusted: tuple[str, ...]) -> tuple[str, ...]:
        for name in trusted:
            if not is_name(name) or not is_topic_level(name):
                raise ValueError(f"must be names of 1 to {MAX_LENGTH} printable characters without / # or +")
        return trusted
